// TL, the serialisation of MTProto: little-endian numbers, and bytes with their length before them.
// Source: core.telegram.org/mtproto/serialize

import { concat } from "./bytes.js";
import { Failure } from "./failure.js";

export const ID = {
    REQ_PQ_MULTI: 0xbe7e8ef1,
    RES_PQ: 0x05162463,
    P_Q_INNER_DATA_DC: 0xa9f55f95,
    REQ_DH_PARAMS: 0xd712e4be,
    SERVER_DH_PARAMS_OK: 0xd0e8075c,
    SERVER_DH_INNER_DATA: 0xb5890dba,
    CLIENT_DH_INNER_DATA: 0x6643b654,
    SET_CLIENT_DH_PARAMS: 0xf5045f1f,
    DH_GEN_OK: 0x3bcbf734,
    DH_GEN_RETRY: 0x46dc1fb9,
    DH_GEN_FAIL: 0xa69dae02,
    VECTOR: 0x1cb5c415,
    MSG_CONTAINER: 0x73f1f8dc,
    GZIP_PACKED: 0x3072cfa1,
    RPC_RESULT: 0xf35c6d01,
    RPC_ERROR: 0x2144ca19,
    PING: 0x7abe77ec,
    PONG: 0x347773c5,
    MSGS_ACK: 0x62d6b459,
    BAD_MSG_NOTIFICATION: 0xa7eff811,
    BAD_SERVER_SALT: 0xedab447b,
    NEW_SESSION_CREATED: 0x9ec20908,
    INVOKE_WITH_LAYER: 0xda9b0d0d,
    INIT_CONNECTION: 0xc1cd5ea9,
    HELP_GET_CONFIG: 0xc4f9186b,
    CONFIG: 0xcc1a241e,
    DC_OPTION: 0x18b7a10d,
};

/** A number of 32 bits, signed or not. */
export function int(number) {
    const data = new Uint8Array(4);
    new DataView(data.buffer).setInt32(0, number, true);
    return data;
}

/** A BigInt as 64 bits, signed or not. */
export function long(number) {
    const data = new Uint8Array(8);
    new DataView(data.buffer).setBigInt64(0, number, true);
    return data;
}

/** Bytes with their length, filled up to a multiple of 4. */
export function bytes(data) {
    const head =
        data.length < 254
            ? Uint8Array.of(data.length)
            : Uint8Array.of(254, data.length, data.length >> 8, data.length >> 16);
    return concat(head, data, new Uint8Array(-(head.length + data.length) & 3));
}

export function string(text) {
    return bytes(new TextEncoder().encode(text));
}

/** Reads one value after the other; `position` is how far it has come. */
export class Reader {
    #data;
    #view;
    position = 0;

    constructor(data) {
        this.#data = data;
        this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    }

    raw(length) {
        const end = this.position + length;
        if (length < 0 || end > this.#data.length) {
            throw new Failure(`${end} bytes were to be read, but there are ${this.#data.length}.`);
        }
        const data = this.#data.slice(this.position, end);
        this.position = end;
        return data;
    }

    rest() {
        return this.raw(this.#data.length - this.position);
    }

    int() {
        return this.#view.getInt32(this.#skip(4), true);
    }

    /** An unsigned number of 32 bits, such as a constructor's id. */
    id() {
        return this.#view.getUint32(this.#skip(4), true);
    }

    /** A signed BigInt of 64 bits. */
    long() {
        return this.#view.getBigInt64(this.#skip(8), true);
    }

    bytes() {
        const [short] = this.raw(1);
        const [low, middle, high] = short < 254 ? [short, 0, 0] : this.raw(3);
        const data = this.raw(low | (middle << 8) | (high << 16));
        this.raw(-this.position & 3);
        return data;
    }

    string() {
        return new TextDecoder().decode(this.bytes());
    }

    /** A vector whose elements `read` reads. */
    vector(read) {
        this.expect(ID.VECTOR, "a vector");
        return Array.from({ length: this.int() }, read);
    }

    /** Read a constructor's id, which must be the given one. */
    expect(id, what) {
        const found = this.id();
        if (found !== id) {
            throw new Failure(`${what} was expected, but 0x${found.toString(16)} came.`);
        }
    }

    #skip(length) {
        this.raw(length);
        return this.position - length;
    }
}
