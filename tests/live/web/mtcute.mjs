// mtcute over WebSocket: a key, the config, pings, an echo and a push.
//
//     node --experimental-websocket mtcute.mjs '{"url", "publicKey", "echo", "tell", "pfs"}'
//
// With "pfs" everything is encrypted by a temporary key that is bound to the permanent one.
// Prints what it got as one line of JSON. The two calls are made-up, as hexadecimal bytes.

import { connectWs } from "@fuman/net";
import { MemoryStorage, ObfuscatedPacketCodec, PaddedIntermediatePacketCodec } from "@mtcute/core";
import { BaseTelegramClient } from "@mtcute/core/client.js";
import { __tlWriterMap, addPublicKey } from "@mtcute/core/utils.js";
import { NodePlatform } from "@mtcute/node";
import { NodeCryptoProvider } from "@mtcute/node/utils.js";

const wish = JSON.parse(process.argv[2]);

/** Enough for the lines about pings and failures. */
const LOG_DEBUG = 4;

let pongs = 0;
const complaints = [];

// mtcute tells of its pings in its log alone.
class ListeningPlatform extends NodePlatform {
    log(_color, level, tag, format) {
        if (level <= 2) complaints.push(`[${tag}] ${format}`);
        if (format.includes("received pong:")) pongs += 1;
    }
}

/** A call as its bytes. */
const RAW = "gnetway.raw";
const writerMap = {
    ...__tlWriterMap,
    [RAW]: (writer, call) => writer.raw(call.body),
    _bare: __tlWriterMap._bare,
};
const raw = (hex) => ({ _: RAW, body: Buffer.from(hex, "hex") });

const crypto = new NodeCryptoProvider();
addPublicKey(crypto, wish.publicKey);

const center = { id: 2, ipAddress: "127.0.0.1", port: 443 };
const storage = new MemoryStorage();
const client = new BaseTelegramClient({
    apiId: 1,
    apiHash: "0".repeat(32),
    crypto,
    defaultDcs: { main: center, media: center },
    logLevel: LOG_DEBUG,
    network: { usePfs: wish.pfs, pingInterval: 100 },
    platform: new ListeningPlatform(),
    storage,
    transport: {
        connect: () => connectWs({ url: wish.url, protocols: "binary" }),
        packetCodec: () => new ObfuscatedPacketCodec(new PaddedIntermediatePacketCodec()),
    },
    updates: false,
    writerMap,
});

const pushed = new Promise((resolve) => client.onServerUpdate.add(resolve));
await client.connect();
const config = await client.call({ _: "help.getConfig" });
const echoed = await client.call(raw(wish.echo));
await client.call(raw(wish.tell));
const { update } = await pushed;
while (pongs === 0) await new Promise((resolve) => setTimeout(resolve, 50));
const bound = storage.authKeys.getTemp(center.id, 0, Date.now()) !== null;
await client.destroy();

const got = {
    options: config.dcOptions.map((option) => `${option.ipAddress}:${option.port}`),
    pongs,
    echoed: Buffer.from(echoed.bytes).toString("hex"),
    pushed: update.message,
    bound,
    complaints,
};
process.stdout.write(JSON.stringify(got), () => process.exit());
