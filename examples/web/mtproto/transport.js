// What carries packets: a WebSocket, in it obfuscated2, and in that the intermediate framing.
// Source: core.telegram.org/mtproto/mtproto-transports

import { CtrStream } from "./aes.js";
import { concat, random, reversed, toHex } from "./bytes.js";
import { Failure, check, transportFailure } from "./failure.js";
import { int } from "./tl.js";

/** Intermediate: each packet after its length in 4 bytes, little-endian. */
const TAG = int(0xeeeeeeee);

/** Beginnings that other protocols and framings have. */
const TAKEN = ["HEAD", "POST", "GET ", "OPTI"].map((verb) => toHex(new TextEncoder().encode(verb)));
const TAKEN_TAGS = ["eeeeeeee", "dddddddd", "16030102"];

const PATIENCE_SECONDS = 20;

// Source: RFC 6455, section 7.4.1; 1006 is the browser's own
const CLOSE_CODES = {
    1000: "all is well, but it has waited long enough, or the key is not here (any more)",
    1001: "it is being stopped",
    1002: "it has found a fault in what was sent",
    1003: "it takes binary messages only",
    1006: "without a word: the connection broke, or was never made",
    1009: "the message was too large",
    1011: "it has failed at this itself",
    1013: "it cannot reach its backend now",
};

function whyNotOpened(url) {
    const hints = [
        "A browser does not tell why. Look at the console, and whether",
        "the gateway runs and listens at this address with Proto websocket or auto;",
        "the path is /apiws;",
        "this page's origin is among those that the gateway allows;",
    ];
    if (url.startsWith("wss:")) {
        const site = url.replace(/^wss/, "https");
        hints.push(`the browser trusts the certificate: open ${site} in a tab and see;`);
    } else if (globalThis.location?.protocol === "https:") {
        hints.push("the address is wss://, since a page from https:// may open nothing else;");
    }
    return hints.join("\n– ").replace(/;$/, ".");
}

/** A connection. Use `Transport.open`. */
export class Transport {
    #socket;
    #incoming;
    #outgoing;
    #buffer = new Uint8Array(0);
    #packets = [];
    #failure = null;
    #wake = () => {};

    /** Open a WebSocket and return it with nothing sent. */
    static async open(url) {
        const form = "An address looks like ws://127.0.0.1:10443/apiws.";
        // A browser would take another form for a page beside its own.
        check(/^wss?:/.test(url), `This is no WebSocket's address: ${url}`, form);
        let socket;
        try {
            socket = new WebSocket(url, "binary");
        } catch (error) {
            throw new Failure(error.message, form);
        }
        socket.binaryType = "arraybuffer";
        await new Promise((resolve, reject) => {
            const late = () => reject(new Failure(`Not open after ${PATIENCE_SECONDS} s.`));
            const timer = setTimeout(late, 1000 * PATIENCE_SECONDS);
            socket.onopen = resolve;
            socket.onclose = () => {
                reject(new Failure(`No WebSocket at ${url}.`, whyNotOpened(url)));
            };
            socket.addEventListener("open", () => clearTimeout(timer));
        }).catch((error) => {
            socket.close();
            throw error;
        });
        return new Transport(socket);
    }

    constructor(socket) {
        this.#socket = socket;
        socket.onmessage = (event) => this.#receive(new Uint8Array(event.data));
        socket.onclose = (event) => {
            const meaning = CLOSE_CODES[event.code] ?? event.reason;
            this.#fail(new Failure(`The gateway has closed (${event.code}): ${meaning}.`));
        };
    }

    get protocol() {
        return this.#socket.protocol;
    }

    /** Send the 64 bytes from which both sides make their keys, and return them. */
    begin(dc) {
        let header;
        do {
            header = random(64);
        } while (
            header[0] === 0xef ||
            TAKEN.includes(toHex(header.slice(0, 4))) ||
            TAKEN_TAGS.includes(toHex(header.slice(0, 4))) ||
            toHex(header.slice(4, 8)) === "00000000"
        );
        header.set(TAG, 56);
        header.set(int(dc).slice(0, 2), 60);
        const seed = header.slice(8, 56);
        const seedBack = reversed(seed);
        this.#outgoing = new CtrStream(seed.slice(0, 32), seed.slice(32));
        this.#incoming = new CtrStream(seedBack.slice(0, 32), seedBack.slice(32));
        // All 64 bytes pass through the stream, but only the last 8 are sent encrypted.
        header.set(this.#outgoing.update(header).slice(56), 56);
        this.#socket.send(header);
        return header;
    }

    send(packet) {
        if (this.#failure) throw this.#failure;
        this.#socket.send(this.#outgoing.update(concat(int(packet.length), packet)));
    }

    /** Wait for the next packet; for ever, if no `seconds` are given. */
    async receive(seconds = PATIENCE_SECONDS) {
        const late = () => this.#fail(new Failure(`No answer within ${seconds} s.`));
        const timer = seconds === Infinity ? 0 : setTimeout(late, 1000 * seconds);
        while (!this.#packets.length && !this.#failure) {
            await new Promise((resolve) => {
                this.#wake = resolve;
            });
        }
        clearTimeout(timer);
        if (!this.#packets.length) throw this.#failure;
        const packet = this.#packets.shift();
        if (packet.length === 4) {
            throw transportFailure(new DataView(packet.buffer).getInt32(0, true));
        }
        return packet;
    }

    close() {
        this.#fail(new Failure("Closed by this page."));
        this.#socket.close(1000);
    }

    #receive(data) {
        this.#buffer = concat(this.#buffer, this.#incoming.update(data));
        while (this.#buffer.length >= 4) {
            const length = new DataView(this.#buffer.buffer).getUint32(0, true);
            if (this.#buffer.length < 4 + length) break;
            this.#packets.push(this.#buffer.slice(4, 4 + length));
            this.#buffer = this.#buffer.slice(4 + length);
        }
        this.#wake();
    }

    #fail(failure) {
        this.#failure ??= failure;
        this.#wake();
    }
}
