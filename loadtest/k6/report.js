// The summary of a run: a text for the terminal and a self-contained HTML page. Both end with the audit.

const about = __ENV.ABOUT || '';

function value(data, metric, field) {
  const m = data.metrics[metric];
  return m && m.values[field] !== undefined ? m.values[field] : 0;
}

const whole = (n) => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, ',');
const ms = (n) => `${n < 10 ? n.toFixed(2) : n.toFixed(1)} ms`;

// resultsOf returns the results of the calls: [call, code, count].
function resultsOf(data) {
  const rows = [];
  for (const name of Object.keys(data.metrics)) {
    const tags = name.match(/^results\{call:(\w+),code:(\w+)\}$/);
    const count = value(data, name, 'count');
    if (tags && count > 0) {
      rows.push([tags[1], tags[2], whole(count)]);
    }
  }
  return rows.sort((a, b) => (a[0] + a[1] < b[0] + b[1] ? -1 : 1));
}

function latenciesOf(data) {
  return Object.entries(data.metrics)
    .map(([name, m]) => [name.match(/^latency\{call:(\w+)\}$/), m.values])
    .filter(([name, of]) => name && of.max > 0)
    .map(([name, of]) => [name[1], ms(of.med), ms(of['p(95)']), ms(of['p(99)']), ms(of.max)]);
}

function auditOf(data) {
  const row = (what, checked, unit, wrong) => [what, `${whole(value(data, checked, 'count'))} ${unit}`,
    whole(value(data, wrong, 'count')), value(data, wrong, 'count') === 0 && value(data, checked, 'count') > 0 ? 'yes' : 'NO'];
  const audit = [
    row('no pool is oversold (I1)', 'audit_pools', 'pools', 'audit_oversold'),
    row('no cap is exceeded (I2)', 'audit_ledgers', 'ledgers', 'audit_over_cap'),
    row('every acknowledged outcome exists (I5)', 'audit_outcomes', 'reservations', 'audit_lost'),
  ];
  if (value(data, 'audit_outcomes', 'count') === 0 && value(data, 'results{call:confirm,code:ok}', 'count') === 0) {
    audit[2][3] = 'yes'; // there was no outcome to check
  }
  if (data.metrics.audit_shared) {
    audit.push(row('every place is available or of one reservation', 'audit_shared', 'pools', 'audit_unshared'));
  }
  if (data.metrics.audit_ends) {
    audit.push(row('every extended hold ended at its end', 'audit_ends', 'observations', 'audit_wrong_ends'));
  }
  return audit;
}

function thresholdsOf(data) {
  const rows = [];
  for (const [name, m] of Object.entries(data.metrics)) {
    for (const [rule, held] of Object.entries(m.thresholds || {})) {
      if (!/>=0$/.test(rule)) {
        rows.push([name, rule, held.ok ? 'yes' : 'NO']);
      }
    }
  }
  return rows.sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

function tables(data) {
  return [
    { title: 'Results', head: ['call', 'code', 'count'], rows: resultsOf(data) },
    { title: 'Latency', head: ['call', 'median', '95 %', '99 %', 'longest'], rows: latenciesOf(data) },
    { title: 'Thresholds', head: ['metric', 'rule', 'holds'], rows: thresholdsOf(data) },
    { title: 'Audit', head: ['rule', 'checked', 'wrong', 'holds'], rows: auditOf(data) },
  ];
}

function text(title, facts, all) {
  const out = [`${title}: ${facts}`];
  for (const t of all) {
    const widths = t.head.map((h, i) => Math.max(h.length, ...t.rows.map((r) => r[i].length)));
    const line = (cells) => '  ' + cells.map((c, i) => c.padEnd(widths[i])).join('  ').trimEnd();
    out.push('', t.title, line(t.head), ...t.rows.map(line));
  }
  return out.join('\n') + '\n';
}

const escape = (s) => s.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#1b2733}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #d9e0e6}td.yes{color:#1a7f37}td.NO{color:#fff;background:#cf222e;padding-left:.5rem}
@media(prefers-color-scheme:dark){body{background:#12181f;color:#dde5ec}th,td{border-color:#2c3742}}`;

function html(title, facts, all) {
  const cell = (c) => `<td${c === 'yes' || c === 'NO' ? ` class="${c}"` : ''}>${escape(c)}</td>`;
  const table = (t) => `<h2>${escape(t.title)}</h2><table><tr>${t.head.map((h) => `<th>${escape(h)}</th>`).join('')}</tr>` +
    t.rows.map((r) => `<tr>${r.map(cell).join('')}</tr>`).join('') + '</table>';
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)}</title><style>${style}</style>` +
    `<h1>${escape(title)}</h1><p>${escape(facts)}</p>${all.map(table).join('')}</html>\n`;
}

// summary returns the handleSummary function of a scenario.
export function summary(scenario) {
  return (data) => {
    const requests = value(data, 'http_reqs', 'count');
    const facts = `${about ? about + '; ' : ''}${whole(requests)} requests in ${(data.state.testRunDurationMs / 1000).toFixed(1)} s, ` +
      `at most ${whole(value(data, 'vus_max', 'max'))} virtual users`;
    const all = tables(data);
    const files = { stdout: text(scenario, facts, all) };
    if (__ENV.REPORT) {
      files[`${__ENV.REPORT}.html`] = html(`Seathold: ${scenario}`, facts, all);
      files[`${__ENV.REPORT}.json`] = JSON.stringify(data, null, 1);
    }
    return files;
  };
}
