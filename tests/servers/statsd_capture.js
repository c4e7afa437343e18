// A backend for StatsD. It prints what a flush holds, one value a line, and ends the server, which flushes once more,
// with its standard input: whoever started it need not live to stop it.

exports.init = function (startupTime, config, events) {
  const print = (kind, key, value) => console.log(`captured ${kind} ${key} ${value}`);
  events.on('flush', (time, metrics) => {
    for (const [key, value] of Object.entries(metrics.counters)) print('counter', key, value);
    for (const [key, value] of Object.entries(metrics.gauges)) print('gauge', key, value);
    for (const [key, set] of Object.entries(metrics.sets)) print('set', key, set.values().length);
    for (const [key, summary] of Object.entries(metrics.timer_data)) {
      for (const [name, value] of Object.entries(summary)) print('timer', `${key} ${name}`, value);
    }
  });
  process.stdin.on('end', () => process.exit()).resume();
  return true;
};
