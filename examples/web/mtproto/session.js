// A session: encrypted messages under an auth key, their numbers, salts and acknowledgements.
// Sources: core.telegram.org/mtproto/description, /mtproto/service_messages

import { igeDecrypt, igeEncrypt } from "./aes.js";
import { concat, equal, random, sha256 } from "./bytes.js";
import { Failure, badMessageFailure, check } from "./failure.js";
import { ID, Reader, int, long } from "./tl.js";

/** Where in the auth key a message's keys come from. */
const FROM_CLIENT = 0;
const FROM_SERVER = 8;

const CALL_SECONDS = 20;

/**
 * Speaks to the server until its end.
 *
 * `heard(what)` is told of what the server says by itself: { name, ... }, and of a push its `body`.
 * `ended(failure)` is called when the connection has ended.
 */
export class Session {
    #transport;
    #authKey;
    #authKeyId;
    #salt;
    #id = random(8);
    #secondsAhead;
    #lastMsgId = 0n;
    #contentMessages = 0;
    #waiting = new Map();
    #sending = Promise.resolve();
    #heard;
    #ended;

    constructor(transport, exchange, { heard, ended }) {
        this.#transport = transport;
        this.#authKey = exchange.authKey;
        this.#authKeyId = exchange.authKeyId;
        this.#salt = exchange.salt;
        this.#secondsAhead = exchange.serverTime - Math.floor(Date.now() / 1000);
        this.#heard = heard;
        this.#ended = ended;
        this.#listen();
    }

    get id() {
        return this.#id;
    }

    async ping() {
        const pingId = random(8);
        const pong = new Reader(await this.call(concat(int(ID.PING), pingId)));
        pong.expect(ID.PONG, "pong");
        pong.long();
        check(equal(pong.raw(8), pingId), "The pong is for another ping.");
        return { ping_id: pingId };
    }

    /** Send a call and wait for its answer, the bytes of a TL object. */
    async call(body) {
        let timer;
        const waiting = { body };
        const answer = new Promise((resolve, reject) => {
            Object.assign(waiting, { resolve, reject });
            const late = () => reject(new Failure(`No answer within ${CALL_SECONDS} s.`));
            timer = setTimeout(late, 1000 * CALL_SECONDS);
        });
        this.#sendCall(waiting);
        try {
            return await answer;
        } finally {
            clearTimeout(timer);
            this.#waiting.delete(waiting.msgId);
        }
    }

    #sendCall(waiting) {
        waiting.msgId = this.#nextMsgId();
        this.#waiting.set(waiting.msgId, waiting);
        this.#send(waiting.msgId, waiting.body, true);
    }

    // -- out --------------------------------------------------------------------------------

    #nextMsgId() {
        const seconds = Date.now() / 1000 + this.#secondsAhead;
        const msgId = BigInt(Math.floor(seconds * 2 ** 20)) << 12n;
        this.#lastMsgId = msgId > this.#lastMsgId ? msgId : this.#lastMsgId + 4n;
        return this.#lastMsgId;
    }

    #send(msgId, body, isContent) {
        const seqNo = 2 * this.#contentMessages + Number(isContent);
        this.#contentMessages += Number(isContent);
        const head = concat(this.#salt, this.#id, long(msgId), int(seqNo), int(body.length));
        const plain = concat(head, body);
        const padding = random(12 + (-(plain.length + 12) & 15));
        // One after the other, since hashing takes its time.
        this.#sending = this.#sending
            .then(() => this.#encrypt(concat(plain, padding)))
            .then((packet) => this.#transport.send(packet))
            .catch((error) => this.#end(error));
    }

    async #encrypt(plain) {
        const msgKey = await this.#messageKey(plain, FROM_CLIENT);
        const { key, iv } = await this.#aes(msgKey, FROM_CLIENT);
        return concat(this.#authKeyId, msgKey, igeEncrypt(plain, key, iv));
    }

    async #messageKey(plain, from) {
        return (await sha256(this.#authKey.slice(88 + from, 120 + from), plain)).slice(8, 24);
    }

    async #aes(msgKey, from) {
        const a = await sha256(msgKey, this.#authKey.slice(from, from + 36));
        const b = await sha256(this.#authKey.slice(from + 40, from + 76), msgKey);
        return {
            key: concat(a.slice(0, 8), b.slice(8, 24), a.slice(24)),
            iv: concat(b.slice(0, 8), a.slice(8, 24), b.slice(24)),
        };
    }

    // -- in ---------------------------------------------------------------------------------

    async #listen() {
        try {
            for (;;) {
                const packet = await this.#transport.receive(Infinity);
                const plain = new Reader(await this.#decrypt(packet));
                plain.long();
                check(equal(plain.raw(8), this.#id), "A message for another session came.");
                const acknowledged = [];
                await this.#message(plain, acknowledged);
                if (acknowledged.length) this.#acknowledge(acknowledged);
            }
        } catch (error) {
            this.#end(error);
        }
    }

    #end(failure) {
        for (const waiting of this.#waiting.values()) waiting.reject(failure);
        this.#ended(failure);
    }

    async #decrypt(packet) {
        const reader = new Reader(packet);
        check(equal(reader.raw(8), this.#authKeyId), "A message under another key came.");
        const msgKey = reader.raw(16);
        const { key, iv } = await this.#aes(msgKey, FROM_SERVER);
        const plain = igeDecrypt(reader.rest(), key, iv);
        const expected = await this.#messageKey(plain, FROM_SERVER);
        check(equal(msgKey, expected), "A message's msg_key is wrong.");
        return plain;
    }

    #acknowledge(msgIds) {
        const ids = concat(int(ID.VECTOR), int(msgIds.length), ...msgIds.map(long));
        this.#send(this.#nextMsgId(), concat(int(ID.MSGS_ACK), ids), false);
    }

    /** Read one message: its number, its place, and its body. */
    async #message(reader, acknowledged) {
        const msgId = reader.long();
        if (reader.int() & 1) acknowledged.push(msgId);
        await this.#body(reader.raw(reader.int()), acknowledged);
    }

    async #body(body, acknowledged) {
        const reader = new Reader(body);
        const id = reader.id();
        switch (id) {
            case ID.MSG_CONTAINER:
                for (let left = reader.int(); left > 0; left -= 1) {
                    await this.#message(reader, acknowledged);
                }
                break;
            case ID.GZIP_PACKED:
                await this.#body(await unpacked(reader.bytes()), acknowledged);
                break;
            case ID.NEW_SESSION_CREATED:
                reader.raw(16);
                this.#salt = reader.raw(8);
                this.#heard({ name: "new_session_created", salt: this.#salt });
                break;
            case ID.BAD_SERVER_SALT:
                this.#sendAgain(reader);
                break;
            case ID.BAD_MSG_NOTIFICATION:
                this.#refused(reader);
                break;
            case ID.PONG:
                this.#answer(reader.long(), body);
                break;
            case ID.RPC_RESULT:
                await this.#result(reader.long(), reader.rest());
                break;
            case ID.MSGS_ACK:
                break;
            default:
                this.#heard({ name: "push", body });
        }
    }

    #answer(msgId, body) {
        this.#waiting.get(msgId)?.resolve(body);
    }

    async #result(msgId, result) {
        const reader = new Reader(result);
        switch (reader.id()) {
            case ID.RPC_ERROR: {
                const code = reader.int();
                const failure = new Failure(`The server answers ${code} ${reader.string()}.`);
                this.#waiting.get(msgId)?.reject(failure);
                break;
            }
            case ID.GZIP_PACKED:
                this.#answer(msgId, await unpacked(reader.bytes()));
                break;
            default:
                this.#answer(msgId, result);
        }
    }

    #sendAgain(reader) {
        const msgId = reader.long();
        reader.raw(8);
        this.#salt = reader.raw(8);
        this.#heard({ name: "bad_server_salt", salt: this.#salt });
        const waiting = this.#waiting.get(msgId);
        if (waiting) {
            this.#waiting.delete(msgId);
            this.#sendCall(waiting);
        }
    }

    #refused(reader) {
        const msgId = reader.long();
        reader.int();
        const failure = badMessageFailure(reader.int());
        this.#heard({ name: "bad_msg_notification", why: failure.message });
        this.#waiting.get(msgId)?.reject(failure);
    }
}

async function unpacked(data) {
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}
