// The two sums of a key exchange with large numbers.

/** base ** exponent % modulus. Its time depends on the exponent, which a real client avoids. */
export function power(base, exponent, modulus) {
    let result = 1n;
    let square = base % modulus;
    for (let rest = exponent; rest > 0n; rest >>= 1n) {
        if (rest & 1n) result = (result * square) % modulus;
        square = (square * square) % modulus;
    }
    return result;
}

function commonDivisor(one, other) {
    while (other) [one, other] = [other, one % other];
    return one;
}

/** Find the two primes of a product below 2 ** 63, the smaller one first: Pollard's rho. */
export function factor(product) {
    if (product % 2n === 0n) return [2n, product / 2n];
    for (let constant = 1n; ; constant += 1n) {
        const step = (value) => (value * value + constant) % product;
        let slow = 2n;
        let fast = 2n;
        let divisor = 1n;
        while (divisor === 1n) {
            // A whole batch of differences shares one common divisor, which is the slow part.
            const [slowBefore, fastBefore] = [slow, fast];
            let differences = 1n;
            for (let count = 0; count < 128; count += 1) {
                slow = step(slow);
                fast = step(step(fast));
                differences = (differences * (slow > fast ? slow - fast : fast - slow)) % product;
            }
            divisor = commonDivisor(product, differences);
            if (divisor === product) {
                [slow, fast, divisor] = [slowBefore, fastBefore, 1n];
                while (divisor === 1n) {
                    slow = step(slow);
                    fast = step(step(fast));
                    divisor = commonDivisor(product, slow > fast ? slow - fast : fast - slow);
                }
            }
        }
        if (divisor !== product) {
            const other = product / divisor;
            return divisor < other ? [divisor, other] : [other, divisor];
        }
    }
}
