'use strict';
(() => {
  const byId = (id) => document.getElementById(id);
  const live = byId('data').dataset.live;
  let data = JSON.parse(byId('data').textContent);
  const SVG = 'http://www.w3.org/2000/svg';
  const HEIGHT = 220, LEFT = 50, RIGHT = 10, TOP = 10, BOTTOM = 24;
  let count, first, last;
  const measure = () => {
    count = data.t.length;
    first = count ? data.t[0] - data.width_s : 0;
    last = count ? data.t[count - 1] : 1;
  };
  measure();

  const short = (n) => {
    const size = Math.abs(n);
    if (size >= 1e6) return trim(n / 1e6) + 'M';
    if (size >= 1e4) return trim(n / 1e3) + 'k';
    return size >= 100 || Number.isInteger(n) ? Math.round(n).toLocaleString('en') : trim(n);
  };
  const trim = (n) => String(Number(n.toPrecision(3)));
  const clock = (t) => {
    const two = (n) => String(n).padStart(2, '0');
    const h = Math.floor(t / 3600), m = Math.floor(t / 60) % 60, s = Math.floor(t % 60);
    return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  };
  const seconds = (s) => (s >= 120 ? `${trim(s / 60)} min` : `${trim(s)} s`);
  const most = (list) => list.reduce((a, b) => Math.max(a, b), 0);
  const node = (name, attributes, parent) => {
    const made = document.createElementNS(SVG, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (parent) parent.append(made);
    return made;
  };
  const element = (name, text, parent, kind) => {
    const made = document.createElement(name);
    if (text !== null) made.textContent = text;
    if (kind) made.className = kind;
    parent.append(made);
    return made;
  };

  const line = (key, label, colour, more) => ({ key, label, colour: `var(--${colour})`, ...more });
  const charts = [
    { title: 'Records per second', lines: [line('arrival', 'in', 'a'), line('processed', 'out', 'b')] },
    { title: 'Age of the oldest record', unit: 's', limit: data.promise_s, lines: [line('age', 'age', 'd')] },
    { title: 'Pods', whole: true, marks: true, lines: [
      line('desired', 'desired', 'b', { step: true, dash: '5 3' }),
      line('current', 'current', 'a', { step: true }),
      line('ready', 'ready', 'c', { step: true })] },
    { title: 'Backlog', lines: [
      line('backlog', 'records waiting', 'a'), line('lag', 'as the law sees it', 'b', { dash: '5 3' })] },
  ];
  if (most(data.nodes) > 0 && data.nodes.some((n) => n !== data.nodes[0])) {
    charts.push({ title: 'Nodes', whole: true, lines: [line('nodes', 'nodes', 'd', { step: true })] });
  }

  const nice = (top, whole) => {
    const raw = Math.max(top, whole ? 4 : 1e-9) / 4;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw * 0.999);
    return whole ? Math.max(1, Math.ceil(step)) : step;
  };
  const timeStep = (span, room) => {
    const least = span / Math.max(2, Math.floor(room / 70));
    return [5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400]
      .find((step) => step >= least) || 172800;
  };

  function draw(chart) {
    const width = Math.max(240, chart.box.clientWidth);
    const svg = chart.svg;
    svg.replaceChildren();
    svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
    const top = Math.max(...chart.lines.map((l) => most(data[l.key])), chart.limit || 0);
    const step = nice(top * 1.04, chart.whole);
    const high = step * Math.max(1, Math.ceil((top * 1.04) / step));
    const x = (t) => LEFT + ((t - first) / Math.max(1, last - first)) * (width - LEFT - RIGHT);
    const y = (v) => HEIGHT - BOTTOM - (v / high) * (HEIGHT - TOP - BOTTOM);
    for (let v = 0; v <= high * 1.001; v += step) {
      node('line', { x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v), class: 'grid' }, svg);
      const label = node('text', { x: LEFT - 7, y: y(v) + 4, 'text-anchor': 'end' }, svg);
      label.textContent = short(v) + (chart.unit && v ? ' ' + chart.unit : '');
    }
    const every = timeStep(last - first, width - LEFT - RIGHT);
    for (let t = Math.ceil(first / every) * every; t <= last; t += every) {
      const label = node('text', { x: x(t), y: HEIGHT - 6, 'text-anchor': x(t) > width - 30 ? 'end' : 'middle' }, svg);
      label.textContent = clock(t);
    }
    if (chart.limit) {
      node('line', { x1: LEFT, x2: width - RIGHT, y1: y(chart.limit), y2: y(chart.limit),
        stroke: 'var(--bad)', 'stroke-width': 1.5, 'stroke-dasharray': '6 4' }, svg);
    }
    for (const l of chart.lines) {
      let path = '', before = null;
      for (let i = 0; i < count; i++) {
        const px = x(data.t[i]).toFixed(1), py = y(data[l.key][i]).toFixed(1);
        if (i && l.step && py !== before) path += `H${px}V${py}`;
        else if (!(i && l.step && i < count - 1)) path += `${i ? 'L' : 'M'}${px} ${py}`;
        before = py;
      }
      node('path', { d: path, fill: 'none', stroke: l.colour, 'stroke-width': 1.8,
        'stroke-linejoin': 'round', ...(l.dash ? { 'stroke-dasharray': l.dash } : {}) }, svg);
    }
    if (chart.marks) {
      for (const d of data.decisions) {
        const mark = node('circle', { cx: x(d.t), cy: y(d.to), r: data.decisions.length > 150 ? 2 : 4,
          fill: `var(--${d.to > d.from ? 'b' : 'c'})`, class: 'mark' }, svg);
        node('title', {}, mark).textContent = `${clock(d.t)}  ${d.from} → ${d.to}: ${d.why}`;
      }
    }
    chart.cursor = node('line', { y1: TOP, y2: HEIGHT - BOTTOM, class: 'cursor', visibility: 'hidden' }, svg);
    chart.x = x;
    chart.at = (px) => first + ((px * width / svg.clientWidth - LEFT) / (width - LEFT - RIGHT)) * (last - first);
  }

  function show(event, chart) {
    if (!count) return;
    const t = chart.at(event.clientX - chart.svg.getBoundingClientRect().left);
    const i = Math.min(count - 1, Math.max(0, Math.ceil((t - data.t[0]) / data.width_s)));
    for (const other of charts) {
      other.cursor.setAttribute('x1', other.x(data.t[i]));
      other.cursor.setAttribute('x2', other.x(data.t[i]));
      other.cursor.setAttribute('visibility', 'visible');
    }
    const tip = byId('tip');
    tip.replaceChildren();
    element('b', clock(data.t[i]), tip);
    const table = element('table', null, tip);
    const row = (name, value) => {
      const tr = element('tr', null, table);
      element('th', name, tr);
      element('td', value, tr);
    };
    row('in / out', `${short(data.arrival[i])} / ${short(data.processed[i])} per s`);
    row('backlog', short(data.backlog[i]));
    row('oldest', seconds(data.age[i]));
    row('pods desired / current / ready', `${data.desired[i]} / ${data.current[i]} / ${data.ready[i]}`);
    if (data.nodes[i]) row('nodes', data.nodes[i]);
    const why = data.reasons[data.reason[i]];
    if (why) element('p', why, tip);
    tip.hidden = false;
    const right = event.clientX + 18 + tip.offsetWidth < innerWidth;
    tip.style.left = `${Math.max(6, right ? event.clientX + 18 : event.clientX - 18 - tip.offsetWidth)}px`;
    tip.style.top = `${Math.max(6, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8))}px`;
  }
  function hide() {
    byId('tip').hidden = true;
    for (const chart of charts) chart.cursor.setAttribute('visibility', 'hidden');
  }

  for (const chart of charts) {
    chart.box = element('section', null, byId('charts'), 'card');
    element('h2', chart.title, chart.box);
    const legend = element('div', null, chart.box, 'legend');
    const entry = (label, colour) => {
      const span = element('span', null, legend);
      element('i', null, span).style.background = colour;
      span.append(label);
    };
    for (const l of chart.lines) entry(l.label, l.colour);
    if (chart.limit) entry(`promised: ${seconds(chart.limit)}`, 'var(--bad)');
    chart.svg = node('svg', { height: HEIGHT, role: 'img', 'aria-label': chart.title }, chart.box);
    chart.svg.addEventListener('pointermove', (event) => show(event, chart));
    chart.svg.addEventListener('pointerleave', hide);
  }
  const drawAll = () => charts.forEach(draw);
  addEventListener('resize', drawAll);
  drawAll();

  const tile = (value, label, bad) => {
    const box = element('div', null, byId('tiles'), bad ? 'tile bad' : 'tile');
    element('b', value, box);
    element('span', label, box);
  };
  function drawTiles() {
    byId('tiles').replaceChildren();
    const worst = most(data.age);
    const podSeconds = data.current.reduce((a, b) => a + b, 0) * data.width_s;
    tile(seconds(worst), 'oldest record at any second', data.promise_s && worst > data.promise_s);
    tile(short(most(data.backlog)), 'most records waiting');
    tile(short(most(data.arrival)), 'most records in per second');
    tile(String(most(data.current)), 'most pods');
    tile(`${trim(podSeconds / 3600)} h`, 'pod-hours');
    tile(String(data.decisions.length + data.decisions_left_out), 'changes of the pods wanted');
  }
  function drawDecisions() {
    const list = byId('decisions');
    list.replaceChildren();
    if (!data.decisions.length) {
      element('p', `None${live ? ' yet' : ''}: the number of pods wanted never changed.`, list);
      return;
    }
    const table = element('table', null, list);
    for (const d of live ? [...data.decisions].reverse() : data.decisions) {
      const tr = element('tr', null, table);
      element('td', clock(d.t), tr);
      element('td', `${d.from} → ${d.to}`, tr, d.to > d.from ? 'up' : 'down');
      element('td', d.why, tr);
    }
  }
  drawTiles();
  drawDecisions();
  if (!live) return;

  // A run that goes on: its data again each second, until nobody answers any more.
  let pointed = null;
  for (const chart of charts) {
    chart.svg.addEventListener('pointermove', (event) => { pointed = [event, chart]; });
    chart.svg.addEventListener('pointerleave', () => { pointed = null; });
  }
  async function again() {
    try {
      const answer = await fetch(live, { cache: 'no-store' });
      data = await answer.json();
    } catch {
      byId('state').textContent = `· ended at ${clock(last)}; this is what was seen last`;
      return;
    }
    const changes = data.decisions.length;
    measure();
    drawAll();
    drawTiles();
    if (changes !== again.changes) drawDecisions();
    again.changes = changes;
    byId('state').textContent = `· live, ${clock(last)}`;
    if (pointed) show(...pointed);
    setTimeout(again, 1000);
  }
  again();
})();
