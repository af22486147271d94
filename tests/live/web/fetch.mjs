// A page in Chromium uses MTProto over HTTP, by fetch(), with the modules of examples/web/.
//
//     node fetch.mjs '{"page", "chromium", "publicKey", "tell", "talks": [{"url", "fields"}]}'
//
// "fields" are the header fields of each request: some let the browser ask first (a preflight).
// "tell" is a made-up call as hexadecimal bytes, after which the server pushes something. Prints
// of each talk what the page got, and how often the browser has asked, as one line of JSON.

import { launch } from "./browser.mjs";

const wish = JSON.parse(process.argv[2]);

const PATIENCE_MS = 20_000;

/** Runs in the page: a key, the config, and a push that a long poll brings. */
async function talk({ url, publicKey, fields, tell }) {
    const { concat, fromHex, toHex } = await import("/mtproto/bytes.js");
    const { getConfig, readConfig } = await import("/mtproto/config.js");
    const { KeyExchange } = await import("/mtproto/key_exchange.js");
    const { readPublicKey } = await import("/mtproto/rsa.js");
    const { Session } = await import("/mtproto/session.js");
    const { int } = await import("/mtproto/tl.js");

    /** Each packet is the body of a request, and what comes back is one of an answer. */
    class HttpTransport {
        #packets = [];
        #wake = () => {};

        send(packet) {
            const answer = fetch(url, { method: "POST", headers: fields, body: packet });
            this.#packets.push(answer);
            this.#wake();
        }

        async receive() {
            while (!this.#packets.length) {
                await new Promise((resolve) => {
                    this.#wake = resolve;
                });
            }
            const answer = await this.#packets.shift();
            if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
            return new Uint8Array(await answer.arrayBuffer());
        }
    }

    const transport = new HttpTransport();
    const exchange = new KeyExchange(transport, await readPublicKey(publicKey), 2);
    await exchange.requestPq();
    exchange.factorPq();
    await exchange.encryptSecret();
    await exchange.requestParameters();
    await exchange.makeKey();

    let hear;
    const pushed = new Promise((resolve, reject) => {
        hear = {
            heard: ({ name, body }) => name === "push" && resolve(toHex(body)),
            ended: reject,
        };
    });
    const session = new Session(transport, exchange, hear);
    const config = readConfig(await session.call(getConfig()));
    await session.call(fromHex(tell));
    // http_wait, which has no answer of its own: at most 5 s, for something to be pushed.
    session.call(concat(int(0x9299359f), int(0), int(0), int(5000))).catch(() => {});
    return { options: config.dc_options, pushed: await pushed };
}

/** Do one talk in a page that remembers nothing of those before. */
async function open(browser, { url, fields }) {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    let preflights = 0;
    const network = await context.newCDPSession(page);
    await network.send("Network.enable");
    network.on("Network.requestWillBeSent", ({ request }) => {
        if (request.method === "OPTIONS") preflights += 1;
    });
    await page.goto(wish.page);
    const { publicKey, tell } = wish;
    const got = await page
        .evaluate(talk, { url, publicKey, fields, tell })
        .catch((error) => ({ error: error.message }));
    await context.close();
    return { ...got, preflights };
}

const browser = await launch(wish);
const got = [];
try {
    for (const one of wish.talks) got.push(await open(browser, one));
} finally {
    await browser.close();
}
process.stdout.write(JSON.stringify(got));
