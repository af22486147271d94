// AES with keys of 256 bits, and the two modes that MTProto uses: IGE, which WebCrypto does not
// have, and CTR, which WebCrypto has only for whole messages, not for a stream.
//
// Written to be read. Its tables make its time depend on the key, which a real client avoids.
// Sources: FIPS 197; core.telegram.org/mtproto/description

import { concat, xor } from "./bytes.js";

const BLOCK = 16;
const ROUNDS = 14;

// Powers of 3, which make every number but 0 in the field of 256 elements, and their logarithms.
const EXP = new Uint8Array(255);
const LOG = new Uint8Array(256);
for (let power = 0, value = 1; power < 255; power += 1) {
    EXP[power] = value;
    LOG[value] = power;
    value ^= (value << 1) ^ (value & 0x80 ? 0x11b : 0);
}

/** The products of one factor with all bytes. */
function multiples(factor) {
    return Uint8Array.from({ length: 256 }, (_, byte) =>
        byte === 0 ? 0 : EXP[(LOG[byte] + LOG[factor]) % 255],
    );
}

const MIX = [2, 3, 1, 1].map(multiples);
const UNMIX = [14, 11, 13, 9].map(multiples);

const SUBSTITUTE = Uint8Array.from({ length: 256 }, (_, byte) => {
    const inverse = byte === 0 ? 0 : EXP[(255 - LOG[byte]) % 255];
    const twice = inverse | (inverse << 8);
    const turned = inverse ^ (twice >> 4) ^ (twice >> 5) ^ (twice >> 6) ^ (twice >> 7);
    return (turned ^ 0x63) & 0xff;
});
const RESTORE = new Uint8Array(256);
SUBSTITUTE.forEach((to, from) => {
    RESTORE[to] = from;
});

/** One block with one key of 32 bytes. */
class Aes256 {
    #keys;

    constructor(key) {
        if (key.length !== 32) throw new Error(`An AES key has 32 bytes, not ${key.length}.`);
        const words = Array.from({ length: 8 }, (_, index) => key.slice(4 * index, 4 * index + 4));
        for (let index = 8, constant = 1; index < 4 * (ROUNDS + 1); index += 1) {
            let word = words[index - 1];
            if (index % 8 === 0) {
                word = Uint8Array.of(word[1], word[2], word[3], word[0]).map((b) => SUBSTITUTE[b]);
                word[0] ^= constant;
                constant <<= 1;
            } else if (index % 8 === 4) {
                word = word.map((byte) => SUBSTITUTE[byte]);
            }
            words.push(xor(words[index - 8], word));
        }
        this.#keys = Array.from({ length: ROUNDS + 1 }, (_, round) =>
            concat(...words.slice(4 * round, 4 * round + 4)),
        );
    }

    encrypt(block) {
        let state = xor(block, this.#keys[0]);
        for (let round = 1; round <= ROUNDS; round += 1) {
            const shifted = new Uint8Array(BLOCK);
            for (let index = 0; index < BLOCK; index += 1) {
                shifted[index] = SUBSTITUTE[state[(index + 4 * (index % 4)) % BLOCK]];
            }
            state = xor(round < ROUNDS ? mixed(shifted, MIX) : shifted, this.#keys[round]);
        }
        return state;
    }

    decrypt(block) {
        let state = xor(block, this.#keys[ROUNDS]);
        for (let round = ROUNDS - 1; round >= 0; round -= 1) {
            const shifted = new Uint8Array(BLOCK);
            for (let index = 0; index < BLOCK; index += 1) {
                shifted[(index + 4 * (index % 4)) % BLOCK] = RESTORE[state[index]];
            }
            state = xor(shifted, this.#keys[round]);
            if (round > 0) state = mixed(state, UNMIX);
        }
        return state;
    }
}

/** Multiply each column of four bytes by a matrix, given as the products with its first row. */
function mixed(state, rows) {
    const result = new Uint8Array(BLOCK);
    for (let index = 0; index < BLOCK; index += 1) {
        const column = index - (index % 4);
        for (let step = 0; step < 4; step += 1) {
            result[index] ^= rows[step][state[column + ((index + step) % 4)]];
        }
    }
    return result;
}

/** Whole blocks, each mixed with the plaintext and the ciphertext before it; `iv` has 32 bytes. */
function ige(data, iv, cipher, encrypting) {
    if (data.length % BLOCK) throw new Error(`${data.length} bytes are no whole blocks of AES.`);
    const result = new Uint8Array(data.length);
    let lastOut = iv.slice(encrypting ? 0 : BLOCK, encrypting ? BLOCK : undefined);
    let lastIn = iv.slice(encrypting ? BLOCK : 0, encrypting ? undefined : BLOCK);
    for (let offset = 0; offset < data.length; offset += BLOCK) {
        const block = data.slice(offset, offset + BLOCK);
        const input = xor(block, lastOut);
        lastOut = xor(encrypting ? cipher.encrypt(input) : cipher.decrypt(input), lastIn);
        lastIn = block;
        result.set(lastOut, offset);
    }
    return result;
}

export function igeEncrypt(data, key, iv) {
    return ige(data, iv, new Aes256(key), true);
}

export function igeDecrypt(data, key, iv) {
    return ige(data, iv, new Aes256(key), false);
}

/** A stream of bytes, encrypted and decrypted alike, however it is cut; `iv` has 16 bytes. */
export class CtrStream {
    #cipher;
    #counter;
    #mask = new Uint8Array(BLOCK);
    #used = BLOCK;

    constructor(key, iv) {
        this.#cipher = new Aes256(key);
        this.#counter = iv.slice();
    }

    update(data) {
        return data.map((byte) => byte ^ this.#next());
    }

    #next() {
        if (this.#used === BLOCK) {
            this.#mask = this.#cipher.encrypt(this.#counter);
            this.#used = 0;
            for (let index = BLOCK - 1; index >= 0; index -= 1) {
                this.#counter[index] += 1;
                if (this.#counter[index] !== 0) break;
            }
        }
        return this.#mask[this.#used++];
    }
}
