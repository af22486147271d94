// Starts Chromium, headless.

import { chromium } from "playwright-core";

const ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
];

/** `path` is the browser's; `trusted` the hash of a TLS key (base64) to take for good, or empty. */
export function launch({ chromium: path, trusted }) {
    const trust = trusted ? [`--ignore-certificate-errors-spki-list=${trusted}`] : [];
    return chromium.launch({
        executablePath: path,
        // Chromium's own sandbox is not for root, who runs the tests in many a container.
        chromiumSandbox: process.getuid() !== 0,
        args: [...ARGUMENTS, ...trust],
    });
}
