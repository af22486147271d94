// Bytes, and what turns other things into them and back.

/** Join Uint8Arrays. */
export function concat(...parts) {
    const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    let offset = 0;
    for (const part of parts) {
        joined.set(part, offset);
        offset += part.length;
    }
    return joined;
}

export function equal(one, other) {
    return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

export function xor(one, other) {
    return one.map((byte, index) => byte ^ other[index]);
}

export function reversed(data) {
    return data.slice().reverse();
}

export function random(length) {
    return crypto.getRandomValues(new Uint8Array(length));
}

export function toHex(data) {
    return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Read hexadecimal digits, with or without white space between them. */
export function fromHex(text) {
    const digits = text.replace(/\s+/g, "");
    if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error("This is not hexadecimal.");
    return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Read a number, the first byte being the highest. */
export function toNumber(data) {
    return BigInt(`0x${toHex(data) || "0"}`);
}

/** Write a number, the highest byte first, in as many bytes as it needs or `length`. */
export function fromNumber(number, length = 0) {
    const digits = number.toString(16);
    const even = digits.length + (digits.length % 2);
    return fromHex(digits.padStart(Math.max(even, 2 * length), "0"));
}

export async function sha1(...parts) {
    return new Uint8Array(await crypto.subtle.digest("SHA-1", concat(...parts)));
}

export async function sha256(...parts) {
    return new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...parts)));
}
