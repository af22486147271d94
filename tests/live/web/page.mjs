// Chromium, headless, opens examples/web/ and connects as a person would.
//
//     node page.mjs '{"page", "chromium", "trusted", "visits": [{"url", "publicKey", "calls",
//                     "pushes"}]}'
//
// "chromium" is the browser's path, and "trusted" the hash of a TLS key (base64) that it is to
// take for good, or empty. Of each visit, "calls" are made-up ones as hexadecimal bytes, and
// "pushes" is how many the server sends because of them. Prints what the page shows after each
// visit, as one line of JSON.

import { launch } from "./browser.mjs";

const wish = JSON.parse(process.argv[2]);

const PATIENCE_MS = 20_000;

/** Do one visit; what the page shows, by step or in order, is a state or name and a text each. */
async function visit(page, { url, publicKey, calls, pushes }) {
    const faults = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    await page.goto(wish.page);
    await page.fill("[name=url]", url);
    await page.fill("[name=key]", publicKey);
    await page.click("#start");
    await page.waitForSelector("li[data-state=failed], li[data-step=config][data-state=done]");
    for (const [index, call] of calls.entries()) {
        await page.fill("[name=body]", call);
        await page.click("#call button");
        await page.waitForSelector(
            `:nth-match([data-name=answer], ${index + 1}), [data-name=refusal]`,
        );
    }
    if (pushes) await page.waitForSelector(`:nth-match([data-name=push], ${pushes})`);
    const shown = (nodes) =>
        nodes.map(({ dataset, innerText }) => [...Object.values(dataset), innerText]);
    return {
        steps: await page.$$eval("#steps li", shown),
        said: await page.$$eval("#talk li", shown),
        faults,
    };
}

const browser = await launch(wish);
const got = [];
try {
    for (const one of wish.visits) {
        const page = await browser.newPage();
        page.setDefaultTimeout(PATIENCE_MS);
        got.push(await visit(page, one));
        await page.close();
    }
} finally {
    await browser.close();
}
process.stdout.write(JSON.stringify(got));
