// The normal noise of `jax.random`, so that the page edits with the noise of emogan in Python.

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]];

// Threefry-2x32 of 20 rounds (Salmon et al. 2011): two numbers of 32 bits, for two keys and two counters.
function threefry([k0, k1], x0, x1) {
  const keys = [k0, k1, k0 ^ k1 ^ 0x1bd11bda];
  let [a, b] = [(x0 + k0) | 0, (x1 + k1) | 0];
  for (let i = 0; i < 5; i += 1) {
    for (const turn of ROTATIONS[i % 2]) {
      a = (a + b) | 0;
      b = ((b << turn) | (b >>> (32 - turn))) ^ a;
    }
    a = (a + keys[(i + 1) % 3]) | 0;
    b = (b + keys[(i + 2) % 3] + i + 1) | 0;
  }
  return [a, b];
}

// As `jax.random.key(seed)`, and `jax.random.fold_in(key, number)`.
export function key(seed) {
  return [0, seed | 0];
}

export function foldIn(of, number) {
  return threefry(of, 0, number | 0);
}

// As `jax.random.normal(key, (count,))`.
export function normal(of, count) {
  const least = Math.fround(-1 + 2 ** -24);
  return Float32Array.from({ length: count }, (_, i) => {
    const [a, b] = threefry(of, 0, i);
    const uniform = ((a ^ b) >>> 9) * 2 ** -23;
    return Math.SQRT2 * inverseErf(Math.max(least, Math.fround(2 * uniform + least)));
  });
}

// The inverse of the error function, by the polynomials of Giles 2012 for single precision.
function inverseErf(x) {
  const w = -Math.log1p(-x * x);
  const near = [2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941];
  const far = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682];
  const [of, coefficients] = w < 5 ? [w - 2.5, near] : [Math.sqrt(w) - 3, far];
  return x * coefficients.reduce((sum, coefficient) => sum * of + coefficient, 0);
}
