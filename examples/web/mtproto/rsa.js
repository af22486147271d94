// The server's public key, and RSA_PAD, which encrypts the client's secret for it.
// Source: core.telegram.org/mtproto/auth_key

import { igeEncrypt } from "./aes.js";
import { concat, fromNumber, random, reversed, sha1, sha256, toNumber, xor } from "./bytes.js";
import { check } from "./failure.js";
import { power } from "./numbers.js";
import { bytes } from "./tl.js";

const KEY_BYTES = 256;

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const SEQUENCE = 0x30;

/** Takes DER apart: a tag, a length, and as many bytes. */
class Der {
    #data;
    #position = 0;

    constructor(data) {
        this.#data = data;
    }

    get tag() {
        return this.#data[this.#position];
    }

    /** Return what is in the next element, which must have this tag. */
    take(tag) {
        const data = this.#data;
        check(this.tag === tag, "The public key is damaged.", "Copy the whole file.");
        let position = this.#position + 2;
        let length = data[this.#position + 1];
        if (length & 0x80) {
            const end = position + (length & 0x7f);
            length = Number(toNumber(data.slice(position, end)));
            position = end;
        }
        this.#position = position + length;
        check(this.#position <= data.length, "The public key is cut off.", "Copy the whole file.");
        return data.slice(position, this.#position);
    }
}

/**
 * Read a public key: "RSA PUBLIC KEY", as gnetway writes it beside the private one (.pub), or
 * "PUBLIC KEY". Return { modulus, exponent, fingerprint }, all BigInt.
 */
export async function readPublicKey(pem) {
    check(
        !/PRIVATE KEY/.test(pem),
        "This is a private key. It belongs on the server alone.",
        "Give the file whose name ends in .pub.",
    );
    const match = /-----BEGIN (RSA )?PUBLIC KEY-----([\sA-Za-z0-9+/=]+)-----END/.exec(pem);
    check(
        match,
        "There is no public key here.",
        "Paste the whole file, from -----BEGIN to END-----.",
    );
    let key = new Der(
        Uint8Array.from(atob(match[2].replace(/\s/g, "")), (character) => character.charCodeAt(0)),
    );
    key = new Der(key.take(SEQUENCE));
    if (key.tag === SEQUENCE) {
        // "PUBLIC KEY" says first that it is RSA's; then comes the key, after a byte 0.
        key.take(SEQUENCE);
        key = new Der(new Der(key.take(BIT_STRING).slice(1)).take(SEQUENCE));
    }
    const modulus = toNumber(key.take(INTEGER));
    const exponent = toNumber(key.take(INTEGER));
    const length = fromNumber(modulus).length;
    check(
        length === KEY_BYTES,
        `The key has ${8 * length} bits; MTProto wants ${8 * KEY_BYTES}.`,
        "Make one with: python -m gnetway make-key",
    );
    const hash = await sha1(bytes(fromNumber(modulus)), bytes(fromNumber(exponent)));
    return { modulus, exponent, fingerprint: toNumber(reversed(hash.slice(12))) };
}

/** Encrypt at most 144 bytes into 256, so that nobody can change them unseen. */
export async function rsaPad(data, key) {
    const padded = concat(data, random(192 - data.length));
    for (;;) {
        const secret = random(32);
        const hashed = concat(reversed(padded), await sha256(secret, padded));
        const encrypted = igeEncrypt(hashed, secret, new Uint8Array(32));
        const block = toNumber(concat(xor(secret, await sha256(encrypted)), encrypted));
        if (block < key.modulus) {
            return fromNumber(power(block, key.exponent, key.modulus), KEY_BYTES);
        }
    }
}
