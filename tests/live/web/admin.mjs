// Chromium, headless, opens the status page of a gateway and works with it as a person would who
// has a keyboard alone.
//
//     node admin.mjs '{"page", "chromium", "token", "devices"}'
//
// "devices" are what the clients call themselves whose connections are ended, one at each width. Prints what was
// seen, as one line of JSON. With "picture", a path, "seconds" and "height", it is only looked at for so
// long, and a picture taken of so much of it.

import { launch } from "./browser.mjs";

const wish = JSON.parse(process.argv[2]);

const WIDTHS = [1280, 360];
const PATIENCE_MS = 20_000;

/** Press Tab until the control of that name has the focus, 200 times at most. */
async function tabTo(page, name) {
    for (let presses = 0; presses < 200; presses += 1) {
        await page.keyboard.press("Tab");
        const at = await page.evaluate(() => {
            const { activeElement: at } = document;
            return at.getAttribute("aria-label") ?? at.labels?.[0]?.innerText ?? at.innerText;
        });
        if (at.trim() === name) return;
    }
    throw new Error(`no Tab leads to ${name}`);
}

/** Every control and picture that has no name for a screen reader. */
async function nameless(page) {
    const session = await page.context().newCDPSession(page);
    const { nodes } = await session.send("Accessibility.getFullAXTree");
    const named = ["button", "textbox", "combobox", "checkbox", "link", "img", "image", "meter"];
    return nodes
        .filter(({ ignored, role }) => !ignored && named.includes(role?.value))
        .filter(({ name }) => !name?.value?.trim())
        .map(({ role }) => role.value);
}

async function open(browser, width, colorScheme = "light") {
    const viewport = { width, height: width < 500 ? 740 : 900 };
    const page = await browser.newPage({ viewport, colorScheme });
    page.setDefaultTimeout(PATIENCE_MS);
    const faults = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    // As of a policy that is not kept; that a token is asked for, and no icon is there, is sound.
    page.on("console", (message) => {
        const text = message.text();
        if (message.type() === "error" && !/status of 40[14]/.test(text)) faults.push(text);
    });
    await page.goto(wish.page);
    await page.waitForSelector("#token-text:focus");
    await page.keyboard.type(wish.token);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#list table, #found:text('none')");
    return { page, faults };
}

async function visit(browser, width, device) {
    const { page, faults } = await open(browser, width, width < 500 ? "dark" : "light");
    await page.waitForSelector("#failures td");
    await page.waitForSelector("#reloads td");
    const seen = {
        readiness: await page.innerText("#readiness"),
        failures: await page.innerText("#failures"),
        kinds: await page.innerText("#kinds"),
        charts: await page.$$eval("#charts svg", (all) => all.map((one) => one.ariaLabel)),
        reloads: await page.innerText("#reloads"),
        list: await page.innerText("#list"),
        // What a client says of itself is no element.
        scripts: await page.$$eval("#answers script", (all) => all.length),
        nameless: await nameless(page),
        headings: await page.$$eval(":is(h1, h2, h3)", (all) =>
            all.filter((one) => one.checkVisibility()).map((one) => Number(one.localName[1])),
        ),
        stored: await page.evaluate(() => [localStorage.length, sessionStorage.length]),
    };
    await tabTo(page, "Client says");
    await page.keyboard.type(device);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#found:text('1 to 1 of 1')");
    await tabTo(page, "127.0.0.1");
    await page.keyboard.press("Enter");
    await tabTo(page, "End it now");
    seen.wide = await page.evaluate(() => document.documentElement.scrollWidth);
    // One asks first, and takes Escape, and what is at hand, for no.
    for (const no of ["Escape", "Enter"]) {
        await page.keyboard.press("Enter");
        await page.waitForSelector("#sure[open]");
        await page.keyboard.press(no);
        await page.waitForSelector("#sure:not([open])", { state: "attached" });
    }
    seen.kept = await page.innerText("#found");
    await page.keyboard.press("Enter");
    await tabTo(page, "End");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#found:text('is ended')");
    seen.said = await page.innerText("#found");
    seen.at = await page.evaluate(() => document.activeElement.id);
    seen.url = page.url();
    await page.close();
    return { ...seen, faults };
}

async function picture(browser) {
    const { page } = await open(browser, 1000);
    await page.waitForTimeout(wish.seconds * 1000);
    await page.focus("#look");
    await page.keyboard.press("Enter");
    await page.waitForTimeout(1000);
    const clip = { x: 0, y: 0, width: 1000, height: wish.height };
    await page.screenshot({ path: wish.picture, fullPage: true, clip });
    return [];
}

const browser = await launch({ ...wish, trusted: "" });
const got = [];
try {
    if (wish.picture) await picture(browser);
    else {
        for (const [index, width] of WIDTHS.entries()) {
            got.push(await visit(browser, width, wish.devices[index]));
        }
    }
} catch (fault) {
    for (const page of browser.contexts().flatMap((one) => one.pages())) {
        console.error(await page.innerText("body"));
    }
    throw fault;
} finally {
    await browser.close();
}
process.stdout.write(JSON.stringify(got));
