// Numbers, sizes and times as text.

const NUMBERS = new Intl.NumberFormat(); // in the format of the browser's language

/** @param {number} number */
export function formatNumber(number) {
  return NUMBERS.format(number);
}

/** Return a count of lines: "1 line", "2,000 lines". @param {number} count */
export function formatLines(count) {
  return `${formatNumber(count)} line${count === 1 ? "" : "s"}`;
}

/** Return a duration as the saved log has it: "0.4 s", "12 s", "3:05", "1:02:03". @param {number} seconds */
export function formatClock(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${seconds.toFixed(0)} s`;
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = pad(whole % 60, 2);
  return hours ? `${hours}:${pad(minutes, 2)}:${rest}` : `${minutes}:${rest}`;
}

/** Return a size in decimal units: "512 B", "1.2 kB", "50 MB". @param {number} count */
export function formatBytes(count) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  let size = count;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size.toFixed(unit > 0 && size < 9.95 ? 1 : 0)} ${units[unit]}`;
}

/** Return the local time of day with milliseconds. @param {number} seconds since the epoch */
export function formatTime(seconds) {
  const time = new Date(seconds * 1000);
  const parts = [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => pad(part, 2));
  return `${parts.join(":")}.${pad(time.getMilliseconds(), 3)}`;
}

/** @param {number} number @param {number} width */
function pad(number, width) {
  return String(number).padStart(width, "0");
}
