// The page: shows each step of a connection as it happens, and then what the server says.

import { fromHex, toHex } from "./mtproto/bytes.js";
import { getConfig, readConfig } from "./mtproto/config.js";
import { Failure, check } from "./mtproto/failure.js";
import { KeyExchange } from "./mtproto/key_exchange.js";
import { readPublicKey } from "./mtproto/rsa.js";
import { Session } from "./mtproto/session.js";
import { Transport } from "./mtproto/transport.js";

/** The data centre that this client means to reach; a gateway takes any, unless it is strict. */
const DC = 2;

const element = (id) => document.getElementById(id);
const connectForm = element("connect");
const callForm = element("call");

/** What there is of a connection now. */
let transport = null;
let session = null;

/** Make an element with a text, or with other elements in it. */
function made(tag, content, className = "") {
    const node = document.createElement(tag);
    node.className = className;
    node.append(...[content].flat());
    return node;
}

function shown(value) {
    if (value instanceof Uint8Array) return toHex(value);
    return Array.isArray(value) ? value.join(", ") : String(value);
}

function details(values) {
    return made(
        "dl",
        Object.entries(values).flatMap(([name, value]) => [
            made("dt", name),
            made("dd", shown(value)),
        ]),
    );
}

function told(failure) {
    const text = failure.hint ? `${failure.message}\n${failure.hint}` : failure.message;
    return made("div", text, "failure");
}

/** Do one step, and show it with what it returns or why it failed. */
async function step(name, title, work) {
    const item = made("li", title);
    item.dataset.step = name;
    item.dataset.state = "running";
    element("steps").append(item);
    // Let the browser draw it before the work, which may be a long sum.
    await new Promise((resolve) => setTimeout(resolve));
    const start = performance.now();
    try {
        const values = await work();
        item.append(" ", made("span", `${Math.round(performance.now() - start)} ms`, "time"));
        item.append(details(values));
        item.dataset.state = "done";
    } catch (error) {
        item.append(told(error));
        item.dataset.state = "failed";
        throw error;
    }
}

function checkBrowser() {
    check(
        globalThis.crypto?.subtle,
        "This browser gives the page no cryptography.",
        "Browsers give it to pages from https:// or from this machine (localhost) only.",
    );
}

async function connect(url, pem) {
    let publicKey;
    let exchange;
    await step("key", "Read the server's public key", async () => {
        checkBrowser();
        publicKey = await readPublicKey(pem);
        return { fingerprint: publicKey.fingerprint.toString(16).padStart(16, "0") };
    });
    await step("websocket", "Open a WebSocket", async () => {
        transport = await Transport.open(url);
        exchange = new KeyExchange(transport, publicKey, DC);
        return { url, subprotocol: transport.protocol || "none" };
    });
    await step("obfuscated2", "Send the obfuscated2 header: the keys of a stream cipher", () => ({
        header: transport.begin(DC),
        framing: "intermediate (eeeeeeee)",
        dc: DC,
    }));
    await step("req_pq", "Ask for a product of two primes: req_pq_multi → resPQ", () =>
        exchange.requestPq(),
    );
    await step("factor", "Find the two primes, as proof of work", () => exchange.factorPq());
    await step("rsa", "Encrypt a secret with the public key: RSA_PAD", () =>
        exchange.encryptSecret(),
    );
    await step("req_dh", "Start Diffie-Hellman: req_DH_params → server_DH_params_ok", () =>
        exchange.requestParameters(),
    );
    await step("dh", "Make the auth key: set_client_DH_params → dh_gen_ok", () =>
        exchange.makeKey(),
    );
    session = new Session(transport, exchange, { heard, ended });
    await step("ping", "Send an encrypted ping", async () => ({
        session_id: session.id,
        ...(await session.ping()),
    }));
    await step("config", "Ask for the config: initConnection, help.getConfig", async () =>
        readConfig(await session.call(getConfig())),
    );
    element("session").hidden = false;
}

function say(name, title, content) {
    const item = made("li", [title, content]);
    item.dataset.name = name;
    element("talk").append(item);
}

function heard({ name, ...values }) {
    const title = name === "push" ? "The server pushed:" : `The server said ${name}:`;
    say(name, title, details(values));
}

function ended(failure) {
    if (session === null) return;
    say("end", "The connection has ended.", told(failure));
    disconnect();
}

function disconnect() {
    transport?.close();
    transport = null;
    session = null;
    element("start").disabled = false;
    element("stop").disabled = true;
}

connectForm.addEventListener("submit", async (event) => {
    event.preventDefault();
    element("steps").replaceChildren();
    element("talk").replaceChildren();
    element("session").hidden = true;
    element("start").disabled = true;
    element("stop").disabled = false;
    try {
        await connect(connectForm.elements.url.value.trim(), connectForm.elements.key.value);
    } catch (error) {
        // The step that failed has shown it; a fault of this page itself belongs on the console.
        if (!(error instanceof Failure)) console.error(error);
        disconnect();
    }
});

callForm.addEventListener("submit", async (event) => {
    event.preventDefault();
    const asked = callForm.elements.body.value;
    try {
        check(session, "There is no connection.", "Connect again.");
        const answer = await session.call(fromHex(asked));
        say("answer", "The server answered:", details({ call: asked, body: answer }));
    } catch (error) {
        say("refusal", "The call failed:", told(error));
    }
});

element("stop").addEventListener("click", disconnect);

connectForm.elements.file.addEventListener("change", async ({ target }) => {
    const [file] = target.files;
    if (file) connectForm.elements.key.value = await file.text();
});

element("unserved").remove();
const host = location.hostname || "127.0.0.1";
connectForm.elements.url.value =
    new URLSearchParams(location.search).get("url") ?? `ws://${host}:10443/apiws`;
