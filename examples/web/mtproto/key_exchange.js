// A key exchange: how a client and a server that have never met come to an auth key.
// Source: core.telegram.org/mtproto/auth_key

import { igeDecrypt, igeEncrypt } from "./aes.js";
import { concat, equal, fromNumber, random, sha1, toHex, toNumber, xor } from "./bytes.js";
import { check } from "./failure.js";
import { factor, power } from "./numbers.js";
import { rsaPad } from "./rsa.js";
import { ID, Reader, bytes, int, long } from "./tl.js";

/** The only prime that official clients know beforehand; another would have to be proven. */
const DH_PRIME = BigInt(
    "0xc71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f" +
        "48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543aed44cce7c37" +
        "20fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64" +
        "2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4" +
        "a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754" +
        "fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4" +
        "e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f" +
        "0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b",
);
const GENERATOR = 3;

/** Public values this close to 0 or the prime give the secret away. */
const SAFETY = 1n << 1984n;

const WRONG_KEY_HINT =
    "The key belongs to another gateway, or to this one before it was given a new key. A gateway " +
    "writes its fingerprints into its log when it starts.";

const now = () => BigInt(Math.floor(Date.now() / 1000));

/**
 * One exchange over a Transport. Its methods are its steps, in their order; each returns what it
 * found, for people to see.
 */
export class KeyExchange {
    #transport;
    #publicKey;
    #dc;
    #nonce = random(16);
    #newNonce = random(32);
    #serverNonce;
    #pq;
    #p;
    #q;
    #innerData;
    #aes;
    #gA;
    #lastMsgId = 0n;

    /** The result: 256 secret bytes, the name they go by, the first salt, and the server's time. */
    authKey;
    authKeyId;
    salt;
    serverTime;

    constructor(transport, publicKey, dc) {
        this.#transport = transport;
        this.#publicKey = publicKey;
        this.#dc = dc;
    }

    async requestPq() {
        const answer = await this.#ask(ID.REQ_PQ_MULTI, this.#nonce);
        answer.expect(ID.RES_PQ, "resPQ");
        this.#checkNonce(answer.raw(16), this.#nonce, "nonce");
        this.#serverNonce = answer.raw(16);
        this.#pq = toNumber(answer.bytes());
        const fingerprints = answer.vector(() => BigInt.asUintN(64, answer.long()));
        const names = fingerprints.map((one) => one.toString(16).padStart(16, "0"));
        check(
            fingerprints.includes(this.#publicKey.fingerprint),
            `The gateway has not the private half of the public key given here, but ${names}.`,
            WRONG_KEY_HINT,
        );
        return { nonce: this.#nonce, server_nonce: this.#serverNonce, pq: this.#pq, keys: names };
    }

    factorPq() {
        [this.#p, this.#q] = factor(this.#pq);
        return { p: this.#p, q: this.#q };
    }

    async encryptSecret() {
        const data = concat(
            int(ID.P_Q_INNER_DATA_DC),
            ...[this.#pq, this.#p, this.#q].map((number) => bytes(fromNumber(number))),
            this.#nonce,
            this.#serverNonce,
            this.#newNonce,
            int(this.#dc),
        );
        this.#innerData = await rsaPad(data, this.#publicKey);
        return { new_nonce: "32 secret bytes", encrypted_data: this.#innerData };
    }

    async requestParameters() {
        const answer = await this.#ask(
            ID.REQ_DH_PARAMS,
            this.#nonce,
            this.#serverNonce,
            bytes(fromNumber(this.#p)),
            bytes(fromNumber(this.#q)),
            long(this.#publicKey.fingerprint),
            bytes(this.#innerData),
        );
        answer.expect(ID.SERVER_DH_PARAMS_OK, "server_DH_params_ok");
        this.#checkNonces(answer);
        this.#aes = await this.#temporaryAes();
        const plain = igeDecrypt(answer.bytes(), this.#aes.key, this.#aes.iv);
        return this.#readParameters(plain);
    }

    async #readParameters(plain) {
        const reader = new Reader(plain.slice(20));
        reader.expect(ID.SERVER_DH_INNER_DATA, "server_DH_inner_data");
        this.#checkNonces(reader);
        const generator = reader.int();
        const prime = toNumber(reader.bytes());
        const gA = toNumber(reader.bytes());
        this.serverTime = reader.int();
        const hash = await sha1(plain.slice(20, 20 + reader.position));
        check(equal(hash, plain.slice(0, 20)), "The hash of server_DH_inner_data is wrong.");
        check(
            prime === DH_PRIME && generator === GENERATOR,
            "The server's dh_prime and g are not the usual ones.",
            "A client may take others if it proves them safe; this one does not.",
        );
        check(SAFETY <= gA && gA <= DH_PRIME - SAFETY, "The server's g_a is not safe.");
        this.#gA = gA;
        const serverTime = new Date(1000 * this.serverTime).toISOString();
        return { g: generator, dh_prime: "the usual one", g_a: fromNumber(gA), serverTime };
    }

    async makeKey() {
        const exponent = toNumber(random(256));
        const gB = power(BigInt(GENERATOR), exponent, DH_PRIME);
        const data = concat(
            int(ID.CLIENT_DH_INNER_DATA),
            this.#nonce,
            this.#serverNonce,
            long(0n),
            bytes(fromNumber(gB)),
        );
        const hashed = concat(await sha1(data), data);
        const padded = concat(hashed, random(-hashed.length & 15));
        const encrypted = igeEncrypt(padded, this.#aes.key, this.#aes.iv);
        this.authKey = fromNumber(power(this.#gA, exponent, DH_PRIME), 256);
        const answer = await this.#ask(
            ID.SET_CLIENT_DH_PARAMS,
            this.#nonce,
            this.#serverNonce,
            bytes(encrypted),
        );
        await this.#readResult(answer);
        return { g_b: fromNumber(gB), auth_key_id: this.authKeyId, first_salt: this.salt };
    }

    async #readResult(answer) {
        const id = answer.id();
        check(id !== ID.DH_GEN_RETRY, "dh_gen_retry: the server has this key.", "Try again.");
        check(
            id === ID.DH_GEN_OK,
            "dh_gen_fail: the server could not store the key.",
            "Look at the gateway's log, and at its session backend.",
        );
        this.#checkNonces(answer);
        const keyHash = await sha1(this.authKey);
        const expected = await sha1(this.#newNonce, Uint8Array.of(1), keyHash.slice(0, 8));
        check(equal(answer.raw(16), expected.slice(4)), "The server has made another key.");
        this.authKeyId = keyHash.slice(12);
        this.salt = xor(this.#newNonce.slice(0, 8), this.#serverNonce.slice(0, 8));
    }

    /** Send an unencrypted message and return a Reader of the answer. */
    async #ask(id, ...fields) {
        const body = concat(int(id), ...fields);
        // Whole seconds in the upper half, and always growing.
        const msgId = now() << 32n;
        this.#lastMsgId = msgId > this.#lastMsgId ? msgId : this.#lastMsgId + 4n;
        this.#transport.send(concat(long(0n), long(this.#lastMsgId), int(body.length), body));
        const packet = new Reader(await this.#transport.receive());
        check(packet.long() === 0n, "An encrypted message came in a key exchange.");
        packet.long();
        return new Reader(packet.raw(packet.int()));
    }

    /** The key that both sides make of their nonces. */
    async #temporaryAes() {
        const [newNonce, serverNonce] = [this.#newNonce, this.#serverNonce];
        const one = await sha1(newNonce, serverNonce);
        const two = await sha1(serverNonce, newNonce);
        const three = await sha1(newNonce, newNonce);
        return {
            key: concat(one, two.slice(0, 12)),
            iv: concat(two.slice(12), three, newNonce.slice(0, 4)),
        };
    }

    #checkNonces(reader) {
        this.#checkNonce(reader.raw(16), this.#nonce, "nonce");
        this.#checkNonce(reader.raw(16), this.#serverNonce, "server_nonce");
    }

    #checkNonce(found, expected, name) {
        check(equal(found, expected), `The answer has another ${name}.`, toHex(found));
    }
}
