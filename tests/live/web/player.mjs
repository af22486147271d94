// Chromium, headless, sends bytes by a WebSocket from a page, and tells the messages that come.
//
//     node player.mjs '{"page", "chromium", "trusted", "url", "send", "number"}'
//
// "page" is the page's address, "chromium" the browser's path, and "trusted" the hash of a TLS key
// (base64) that it is to take for good, or empty. "send" goes to "url" as one message, in
// hexadecimal. Prints "number" messages, or what has come of them in a while, as one line of JSON.

import { launch } from "./browser.mjs";

const wish = JSON.parse(process.argv[2]);

/** For the page. */
function play({ url, send, number }) {
    const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return new Promise((resolve) => {
        const got = [];
        const socket = new WebSocket(url, "binary");
        socket.binaryType = "arraybuffer";
        socket.onopen = () => {
            socket.send(Uint8Array.from(send.match(/../g), (pair) => parseInt(pair, 16)));
        };
        socket.onmessage = ({ data }) => {
            got.push(toHex(new Uint8Array(data)));
            if (got.length === number) socket.close();
        };
        socket.onclose = () => resolve(got);
        setTimeout(() => socket.close(), 10_000);
    });
}

const browser = await launch(wish);
try {
    const page = await browser.newPage();
    await page.goto(wish.page);
    process.stdout.write(JSON.stringify(await page.evaluate(play, wish)));
} finally {
    await browser.close();
}
