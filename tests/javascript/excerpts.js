// Excerpts of a log, for tests.

/** @import { Excerpt, Line } from "../../daytona_kernel/views/static/lines.js" */

/**
 * Return consecutive numbered lines as the kernel sends them.
 * @param {number} first
 * @param {number} end the number after the last line
 * @param {Partial<Excerpt>} more
 * @returns {Excerpt}
 */
export function excerpt(first, end, more = {}) {
  const lines = Array.from({ length: end - first }, (_, index) => `line ${first + index}`);
  return { first, lines, last: null, times: [[first, 10]], ...more };
}

/** Return an excerpt with these lines. @param {number} first @param {Line[]} lines @returns {Excerpt} */
export function excerptOf(first, lines) {
  return { first, lines, last: null, times: [] };
}
