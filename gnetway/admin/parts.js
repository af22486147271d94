// What the status page is made of: elements, tables, texts, charts, and how it asks the gateway.
//
// All that is shown is set as text, never as HTML: clients choose what they call themselves. The
// token is kept in sessionStorage, which ends with the tab, and goes out in a header only.

// -- elements ----------------------------------------------------------------------------------

export const $ = (id) => document.getElementById(id);

function filled(element, attributes, inside) {
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") element.addEventListener(name, value);
        else element.setAttribute(name, value);
    }
    // Texts become nodes of text.
    element.append(...inside);
    return element;
}

export const make = (name, attributes = {}, ...inside) =>
    filled(document.createElement(name), attributes, inside);

const draw = (name, attributes = {}, ...inside) =>
    filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, inside);

/** A table. `columns` are a name and what makes the text or element of a row; the first is its
 *  heading. Where it is `wide`, its rows are cards on a phone. */
export function table(caption, columns, rows, wide = false) {
    const cells = (row) =>
        Object.entries(columns).map(([name, value], index) =>
            index
                ? make("td", { role: "cell", "data-name": name }, value(row))
                : make("th", { role: "rowheader", scope: "row" }, value(row)),
        );
    const heads = Object.keys(columns).map((name) =>
        make("th", { role: "columnheader", scope: "col" }, name),
    );
    // Roles, as browsers forget what is a table where it is shown as anything else.
    const made = make(
        "table",
        { role: "table" },
        make("caption", {}, caption),
        make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads)),
        make(
            "tbody",
            { role: "rowgroup" },
            ...rows.map((row) => make("tr", { role: "row" }, ...cells(row))),
        ),
    );
    return make("div", wide ? { class: "wide" } : {}, made);
}

export const facts = (object) =>
    Object.entries(object)
        .filter(([, value]) => value !== null && value !== "")
        .map(([name, value]) =>
            make("div", {}, make("dt", {}, worded(name)), make("dd", {}, formatted(name, value))),
        );

const isObject = (value) => value !== null && typeof value === "object";

/** Anything: a table of a list of objects, or of objects by name; names and values of one. */
export function anything(title, value) {
    if (!isObject(value)) return make("p", {}, formatted("", value));
    if (!Object.values(value).every(isObject)) {
        return make("dl", { class: "facts" }, ...facts(value));
    }
    const named = Object.entries(value).map(([name, one]) => ({ name, ...one }));
    const rows = Array.isArray(value) ? value : named;
    const names = [...new Set(rows.flatMap(Object.keys))];
    const columns = names.map((name) => [
        worded(name),
        (row) => (name in row ? formatted(name, row[name]) : ""),
    ]);
    return table(title, Object.fromEntries(columns), rows, true);
}

const shown = new Map();

/** Make a part of the page anew where its data has changed, and nobody is at work in it. */
export function show(id, data, build) {
    const text = JSON.stringify(data);
    if (shown.get(id) === text || $(id).contains(document.activeElement)) return;
    shown.set(id, text);
    $(id).replaceChildren(...[build(data)].flat(Infinity));
}

// -- texts -------------------------------------------------------------------------------------

export const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
export const worded = (name) =>
    name
        .replace(/_(seconds|ms)$/, "")
        .replaceAll("_", " ")
        .replace(/^\w/, (first) => first.toUpperCase());
export const clock = (date = new Date()) => date.toLocaleTimeString("en-GB");

function scaled(value, steps) {
    const [size, unit] = steps.find(([least]) => Math.abs(value) >= least) ?? steps.at(-1);
    return `${number.format(value / size)} ${unit}`;
}

const SPANS = [[172_800, "days", 86_400], [7_200, "h", 3_600], [120, "min", 60], [1, "s", 1]];
const SIZES = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "bytes"]];

function lasting(seconds) {
    const found = SPANS.find(([least]) => seconds >= least);
    if (!found) return `${number.format(seconds * 1000)} ms`;
    return `${number.format(seconds / found[2])} ${found[1]}`;
}

/** A moment as 2026-11-30 15:11:46, or by its time where it is of today. */
function moment(date) {
    const [text, today] = [date.toLocaleString("sv-SE"), new Date().toLocaleDateString("sv-SE")];
    return text.startsWith(today) ? text.slice(today.length + 1) : text;
}

/** A value as text; its name has its unit. */
export function formatted(name, value) {
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (Array.isArray(value)) return value.map((one) => formatted("", one)).join(", ") || "none";
    if (value !== null && typeof value === "object") {
        const each = Object.entries(value).map(([key, one]) => `${key} ${formatted(key, one)}`);
        return each.join(", ") || "none";
    }
    if (typeof value !== "number" || name === "pid") return String(value);
    if (/(^|_)at$/.test(name)) return moment(new Date(value * 1000));
    if (/_seconds$/.test(name)) return lasting(value);
    if (/_ms$/.test(name)) return `${number.format(value)} ms`;
    if (/_share$/.test(name)) return `${number.format(100 * value)} %`;
    if (/bytes/.test(name)) return scaled(value, SIZES);
    return number.format(value);
}

// -- charts ------------------------------------------------------------------------------------

/** Points of a chart: ten minutes. */
const KEPT = 200;

/** A chart of the last values of some lines, with the same in words. A line is a name and what
 *  makes its value, or undefined, of what is known now and was known before. */
export class Chart {
    constructor([title, unit, lines]) {
        this.title = title;
        this.unit = unit;
        this.lines = lines;
        /** For each time a value of each line, undefined where there is none. */
        this.points = [];
        this.paths = Object.keys(lines).map(() => draw("path"));
        const attributes = { viewBox: "0 0 200 50", preserveAspectRatio: "none", role: "img" };
        this.picture = draw("svg", attributes, ...this.paths);
        this.now = make("span");
        const caption = make("figcaption", {}, make("strong", {}, title), this.now);
        this.figure = make("figure", { hidden: "" }, caption, this.picture);
    }

    add(now, before) {
        this.points.push(Object.values(this.lines).map((value) => value(now, before)));
        if (this.points.length > KEPT) this.points.shift();
        const known = this.points.flat().filter((value) => value !== undefined);
        this.figure.hidden = !known.length;
        const top = Math.max(...known, 1);
        const texts = Object.keys(this.lines).map((name, line) => {
            const values = this.points.map((point) => point[line]);
            this.paths[line].setAttribute("d", drawn(values, top));
            return [name, values.filter((value) => value !== undefined)];
        });
        const value = (one) => `${number.format(one)} ${this.unit}`.trim();
        const told = texts
            .filter(([, values]) => values.length)
            .map(([name, values], line) => {
                const style = this.paths.length > 1 ? ["— ", "- - "][line] : "";
                const [least, most] = [Math.min(...values), Math.max(...values)];
                const range = `${number.format(least)} to ${value(most)}`;
                return [style, `${name} ${value(values.at(-1))} (${range})`];
            });
        this.now.replaceChildren(...told.map((text) => make("span", {}, text.join(""))));
        const words = told.map(([, text]) => text).join("; ");
        this.picture.setAttribute("aria-label", `${this.title}: ${words}`);
    }
}

function drawn(values, top) {
    const across = 200 / (Math.max(values.length, 20) - 1);
    let pen = "M";
    return values
        .map((value, index) => {
            if (value === undefined) return (pen = "M"), "";
            const [x, y] = [index * across, 48 - (46 * value) / top].map((at) => at.toFixed(1));
            const begun = pen;
            pen = "L";
            return `${begun}${x} ${y}`;
        })
        .join("");
}

// -- asking ------------------------------------------------------------------------------------

/** As long as a gateway may take that waits for a worker in vain, and more. */
const ANSWER_MS = 15_000;
const TOKEN = "gnetway-token";

export const keepToken = (token) => sessionStorage.setItem(TOKEN, token);

/** The gateway asks for a token; who listens for this event on the document asks for it. */
export class TokenWanted extends Error {}

/** Ask the API, or have it do something; throws what the gateway says against it. */
export async function ask(path, method = "GET") {
    const token = sessionStorage.getItem(TOKEN);
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    if (method === "POST") headers["X-Gnetway-Request"] = "1";
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(path, { method, headers, signal, cache: "no-store" });
    const text = await answer.text();
    if (answer.status === 401) {
        sessionStorage.removeItem(TOKEN);
        const detail = token ? "The gateway does not know that token." : "";
        document.dispatchEvent(new CustomEvent("token-wanted", { detail }));
        throw new TokenWanted();
    }
    if (answer.ok) return JSON.parse(text);
    throw new Error(text.startsWith("{") ? JSON.parse(text).error : text.trim());
}
