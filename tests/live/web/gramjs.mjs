// GramJS over WebSocket: a key, the config, pings, an echo and a push.
//
//     node gramjs.mjs '{"url", "publicKey", "fingerprint", "echo", "tell"}'
//
// Prints what it got as one line of JSON. The two calls are made-up, as hexadecimal bytes.

import { createPublicKey } from "node:crypto";
import bigInt from "big-integer";
import { Api, TelegramClient } from "telegram";
import { _serverKeys } from "telegram/crypto/RSA.js";
import { Logger, PromisedWebSockets } from "telegram/extensions/index.js";
import { ConnectionTCPObfuscated } from "telegram/network/index.js";
import { MemorySession } from "telegram/sessions/index.js";

const wish = JSON.parse(process.argv[2]);

/** GramJS itself goes to port 80 or 443 only. */
class GatewayWebSockets extends PromisedWebSockets {
    getWebSocketLink() {
        return wish.url;
    }
}

/** A call as its bytes, answered by something that GramJS has a class for. */
class RawRequest {
    classType = "request";
    className = "RawRequest";

    constructor(hex) {
        this.body = Buffer.from(hex, "hex");
    }

    getBytes() {
        return this.body;
    }

    readResult(reader) {
        return reader.tgReadObject();
    }

    async resolve() {}
}

const number = (base64url) => bigInt(Buffer.from(base64url, "base64url").toString("hex"), 16);
const { n, e } = createPublicKey(wish.publicKey).export({ format: "jwk" });
_serverKeys.clear();
_serverKeys.set(wish.fingerprint, { n: number(n), e: number(e).toJSNumber() });

const client = new TelegramClient(new MemorySession(), 1, "0".repeat(32), {
    baseLogger: new Logger("error"),
    connection: ConnectionTCPObfuscated,
    connectionRetries: 1,
    networkSocket: GatewayWebSockets,
});
client.session.setDC(2, "127.0.0.1", 80);
await client.connect();

const pushed = new Promise((resolve) => {
    client.addEventHandler((update) => {
        if (update instanceof Api.UpdateServiceNotification) resolve(update.message);
    });
});
const config = await client.invoke(new Api.help.GetConfig());
const pings = Array.from({ length: 20 }, (_, index) => new Api.Ping({ pingId: bigInt(index + 1) }));
const pongs = await Promise.all(pings.map((ping) => client.invoke(ping)));
const echoed = await client.invoke(new RawRequest(wish.echo));
await client.invoke(new RawRequest(wish.tell));
const told = await pushed;
await client.disconnect();

const got = {
    options: config.dcOptions.map((option) => `${option.ipAddress}:${option.port}`),
    pongs: pongs.map((pong) => pong.pingId.toJSNumber()),
    echoed: echoed.bytes.toString("hex"),
    pushed: told,
};
// GramJS goes on with its pings otherwise.
process.stdout.write(JSON.stringify(got), () => process.exit());
