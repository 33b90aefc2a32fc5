"use strict";
(() => {
  const pageSize = 50, shownVisitors = 100, points = 120;
  const $ = (id) => document.getElementById(id);

  // Elements. Text is always set as text, so nothing from the status is ever markup.
  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }
  function shape(tag, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }
  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  // Numbers, as `culvert status` writes them.
  function bytes(count) {
    let unit = "B";
    for (const next of ["kB", "MB", "GB", "TB", "PB"]) {
      if (count < (unit === "B" ? 1000 : 999.5)) break;
      count /= 1000;
      unit = next;
    }
    return (unit !== "B" && count < 9.95 ? count.toFixed(1) : Math.round(count)) + " " + unit;
  }
  const rate = (value) => (value === undefined ? "–" : bytes(Math.round(value)) + "/s");
  const lanes = (item) => (item.lanes[1] ? item.lanes.map((lane) => rate(lane.rate)).join(" + ") : "");
  function time(seconds) {
    seconds = Math.max(0, Math.floor(seconds));
    if (seconds < 60) return seconds + " s";
    if (seconds < 3600) return Math.floor(seconds / 60) + " min" + (seconds < 600 ? " " + (seconds % 60) + " s" : "");
    if (seconds < 86400) return Math.floor(seconds / 3600) + " h " + Math.floor((seconds % 3600) / 60) + " min";
    return Math.floor(seconds / 86400) + " d " + Math.floor((seconds % 86400) / 3600) + " h";
  }
  const number = (value) => value.toLocaleString("en");
  const several = (count, noun) => number(count) + " " + noun + (count === 1 ? "" : "s");
  const clock = (text) => new Date(text).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const sum = (list, key) => list.reduce((total, item) => total + (item[key] || 0), 0);

  // The state of the page.
  let status = null, now = 0, rows = [], shown = [], visible = [];
  let counts = new Map(), countsAt = 0, rates = new Map();
  const history = { clients: [], visitors: [], toService: [], toVisitor: [] };
  let sorting = { column: "name", up: true }, filter = "all", search = "", page = 0, selected = null, opened = null;
  let failedSince = null, hasDoor = false;

  const ago = (text) => (text ? time(now - Date.parse(text) / 1000) : "–");
  const age = (text) => (text ? now - Date.parse(text) / 1000 : -1);

  const words = { up: "connected", troubled: "connected", draining: "draining", lost: "lost", gone: "gone" };
  const severity = { lost: 0, gone: 1, draining: 2, troubled: 3, up: 4 };
  // A column: title, text of a row, value to sort by, class. Classes c2 and c3 leave first on a narrow window.
  const columns = {
    state: ["State", (row) => words[row.state], (row) => severity[row.state], ""],
    name: ["Client", (row) => row.name, (row) => row.name, "name"],
    peer: ["From", (row) => row.peer, (row) => row.peer, "dim c1n"],
    front: ["Front", (row) => row.front || "–", (row) => row.front || "", "dim c3"],
    software: ["Version", (row) => row.software.replace(/^culvert\//, ""), (row) => row.software, "dim c3"],
    since: ["Since", (row) => ago(row.since), (row) => -age(row.since), "n c2"],
    seen: ["Last seen", (row) => ago(row.seen), (row) => -age(row.seen), "n c3"],
    tunnels: ["Tunnels", (row) => number(row.tunnels), (row) => row.tunnels, "n"],
    visitors: ["Visitors", (row) => number(row.visitors), (row) => row.visitors, "n"],
    rate: ["Rate", (row) => (row.state === "gone" ? "–" : rate(row.rate)), (row) => row.rate || 0, "n"],
    carrier: ["WebSocket", (row) => ago(row.carrier), (row) => age(row.carrier), "n c2"],
    why: ["Last reason", (row) => row.why, (row) => row.why, "dim why"],
  };
  const labels = { tunnels: "tunnels", visitors: "visitors", since: "for", carrier: "WebSocket" };

  // MARK: The status

  function read(text) {
    status = JSON.parse(text);
    now = Date.parse(status.now) / 1000;
    const isServer = status.role === "server";
    const isNew = measureRates();
    rows = isServer ? status.sessions.map(session).concat(status.gone.map(gone)) : [];
    if (opened && isServer && !rows.some((row) => row.key === opened)) {
      const old = openedRow;
      const successor = old && rows.find((row) => row.name === old.name && row.peer.split(":")[0] === old.peer.split(":")[0]);
      opened = successor ? successor.key : null;
      if (selected === (old && old.key)) selected = opened;
    }
    const live = isServer ? rows.filter((row) => row.state !== "gone") : [];
    if (!isNew) return;
    push("clients", isServer ? live.filter((row) => row.state !== "lost").length : 0);
    push("visitors", isServer ? sum(live, "visitors") : own().length);
    const total = rates.get("total");
    push("toService", total[0]);
    push("toVisitor", total[1]);
  }
  const own = () => [status.session].concat(status.further_sessions).flatMap((s) => s?.visitors || []).concat(status.connections);
  function push(name, value) {
    history[name].push(value);
    if (history[name].length > points) history[name].shift();
  }
  function measureRates() {
    const at = performance.now(), before = counts, seconds = (at - countsAt) / 1000;
    // A refresh directly after another one has nothing to compare.
    if (countsAt && seconds < 0.5) return false;
    const result = new Map([["total", [status.totals.bytes_to_service, status.totals.bytes_to_visitor]]]);
    for (const session of status.sessions || []) result.set("s" + session.number, [session.bytes_to_service, session.bytes_to_visitor]);
    const isFirst = !countsAt;
    rates = new Map();
    for (const [key, count] of isFirst ? [] : result) {
      const old = before.get(key) || [0, 0];
      rates.set(key, [Math.max(0, count[0] - old[0]) / seconds, Math.max(0, count[1] - old[1]) / seconds]);
    }
    counts = result;
    countsAt = at;
    return !isFirst;
  }
  function session(item) {
    const refused = item.tunnels.filter((tunnel) => tunnel.refusal).length;
    const down = item.tunnels.filter((tunnel) => tunnel.is_service_up === false).length;
    const key = "s" + item.number, own = rates.get(key);
    let state = "up";
    if (item.is_draining) state = "draining";
    else if (!item.has_carrier) state = "lost";
    else if (refused || down) state = "troubled";
    const trouble = [refused ? several(refused, "tunnel") + " not public" : "", down ? several(down, "service") + " down" : ""];
    const loss = item.last_loss ? item.last_loss + ", " + ago(item.last_loss_at) + " ago" : "";
    return {
      key, item, state, name: item.name, peer: item.peer, front: item.front, software: item.software, since: item.since,
      seen: item.last_seen, tunnels: item.tunnels.length - refused, visitors: Math.max(item.streams, sum(item.tunnels, "visitors")),
      rate: own && own[0] + own[1], carrier: item.carrier_since, why: trouble.concat(loss).filter((text) => text).join("; "),
    };
  }
  function gone(item) {
    return {
      key: "g" + item.name + " " + item.peer + " " + item.gone_since, item, state: "gone", name: item.name, peer: item.peer,
      front: item.front, software: item.software, since: item.since, seen: item.gone_since, tunnels: 0, visitors: 0,
      rate: 0, carrier: null, why: item.reason,
    };
  }

  // MARK: The head

  function showHead() {
    const isServer = status.role === "server";
    write($("role"), "culvert " + status.role);
    const state = isServer && !status.is_accepting ? ", not accepting" : "";
    write($("facts"), status.version + " · up " + time(now - Date.parse(status.started) / 1000) + state);
    document.title = "culvert " + status.role;
  }
  const tiles = new Map();
  function tile(name, title, value, series, note, style) {
    let tile = tiles.get(name);
    if (!tile) {
      tile = { title: make("span"), value: make("b"), note: make("i"), box: make("div", { class: "tile" }) };
      tile.box.append(tile.title, tile.value, tile.note);
      if (series) {
        tile.line = shape("polyline", {});
        tile.area = shape("polygon", {});
        const chart = shape("svg", { viewBox: "0 0 120 24", preserveAspectRatio: "none", "aria-hidden": "true" });
        chart.append(tile.area, tile.line);
        tile.box.append(chart);
      }
      tiles.set(name, tile);
      $("tiles").append(tile.box);
    }
    write(tile.title, title);
    write(tile.value, value);
    write(tile.note, note || "");
    tile.box.className = "tile " + (style || "");
    if (!series) return;
    const most = Math.max(1, ...series), first = points - series.length;
    const line = series.map((value, index) => first + index + "," + (22.5 - (value / most) * 21).toFixed(1)).join(" ");
    tile.line.setAttribute("points", line);
    tile.area.setAttribute("points", first + ",24 " + line + " " + (points - 1) + ",24");
  }
  function showTiles() {
    const total = rates.get("total") || [];
    if (status.role === "server") {
      const live = rows.filter((row) => row.state !== "gone"), lost = live.filter((row) => row.state === "lost").length;
      const refused = sum(status.sessions.map((one) => ({ n: one.tunnels.filter((tunnel) => tunnel.refusal).length })), "n");
      tile("clients", "Clients", number(live.length), history.clients, lost && number(lost) + " lost", "bad");
      tile("tunnels", "Tunnels", number(sum(live, "tunnels")), null, refused && number(refused) + " refused", "warn");
      tile("visitors", "Visitors", number(sum(live, "visitors")), history.visitors);
    } else {
      const since = status.connection.without_since, all = status.session?.tunnels || [];
      const refused = all.filter((tunnel) => tunnel.port === undefined && tunnel.address === undefined).length;
      tile("clients", since ? "Not connected for" : "Connected for", since ? ago(since) : ago(status.session?.carrier_since), null, "", since && "worst");
      tile("tunnels", "Tunnels", number(all.length - refused), null, refused && number(refused) + " refused", "warn");
      tile("visitors", "Visitors and connections", number(own().length), history.visitors);
    }
    tile("in", "To services", rate(total[0]), history.toService);
    tile("out", "To visitors", rate(total[1]), history.toVisitor, "", "two");
    const { totals } = status;
    tile("total", "Carried in total", bytes(totals.bytes_to_service + totals.bytes_to_visitor));
  }

  // MARK: The table

  function makeTable() {
    for (const [id, [title, , , style]] of Object.entries(columns)) {
      const button = make("button", { click: () => sortBy(id) }, title);
      $("clients").tHead.rows[0].append(make("th", { class: style.replace("name", "").replace("dim", ""), scope: "col", id: "h-" + id }, button));
    }
    for (const [id, title] of [["all", "All"], ["up", "Connected"], ["lost", "Lost"], ["gone", "Gone"], ["trouble", "Trouble"]]) {
      $("filters").append(make("button", { "aria-pressed": "false", "data-id": id, click: () => choose(id) }, title));
    }
  }
  const passes = {
    all: () => true, up: (row) => row.state !== "lost" && row.state !== "gone", lost: (row) => row.state === "lost",
    gone: (row) => row.state === "gone", trouble: (row) => row.state === "troubled" || row.state === "draining",
  };
  function sortBy(id) {
    sorting = { column: id, up: sorting.column === id ? !sorting.up : !/^(tunnels|visitors|rate)$/.test(id) };
    page = 0;
    showTable();
  }
  function choose(id) {
    filter = id;
    page = 0;
    showTable();
  }
  function matching(row) {
    if (!search) return true;
    if (row.text === undefined) {
      const tunnels = (row.item.tunnels || []).map((tunnel) => [tunnel.port, tunnel.address, tunnel.wanted].join(" "));
      row.text = [row.name, row.peer, row.front, row.software, row.why].concat(tunnels, row.item.places || []).join(" ").toLowerCase();
    }
    return search.split(/\s+/).every((word) => row.text.includes(word));
  }
  const order = new Intl.Collator("en", { numeric: true }).compare;
  function arrange() {
    const value = columns[sorting.column][2], sign = sorting.up ? 1 : -1;
    visible = rows.filter((row) => passes[filter](row) && matching(row));
    const keyed = visible.map((row) => [value(row), row]);
    keyed.sort(([left, one], [right, other]) => {
      const difference = typeof left === "string" ? order(left, right) : left - right;
      return difference ? sign * difference : one.key < other.key ? -1 : 1;
    });
    visible = keyed.map((pair) => pair[1]);
    page = Math.max(0, Math.min(page, Math.ceil(visible.length / pageSize) - 1));
    shown = visible.slice(page * pageSize, (page + 1) * pageSize);
  }
  const lines = new Map();
  function line(row) {
    let line = lines.get(row.key);
    if (!line) {
      const cells = Object.entries(columns).map(([id, [, , , style]]) => make("td", { class: style, "data-l": labels[id] }));
      const state = make("span", { class: "state" });
      cells[0].append(state);
      line = { tr: make("tr", { class: "row", click: () => toggle(row.key) }), cells, state };
      line.tr.append(...cells);
      lines.set(row.key, line);
    }
    const style = "row " + row.state + (row.key === selected ? " sel" : "");
    if (line.tr.className !== style) line.tr.className = style;
    let index = 0;
    for (const id in columns) {
      const text = columns[id][1](row);
      write(index ? line.cells[index] : line.state, text);
      if (id === "why" || id === "name" || id === "peer") if (line.cells[index].title !== text) line.cells[index].title = text;
      index += 1;
    }
    return line.tr;
  }
  function showTable() {
    const isServer = status.role === "server";
    for (const id of ["clients", "search", "filters", "count"]) $(id).hidden = !isServer;
    document.querySelector(".pager").hidden = !isServer || rows.length <= pageSize;
    $("renewAll").hidden = false;
    write($("renewAll"), isServer ? "Renew all" : "Renew");
    if (!isServer) return showOwn();
    arrange();
    for (const button of $("filters").children) {
      const id = button.dataset.id, count = id === "all" ? rows.length : rows.filter(passes[id]).length;
      button.setAttribute("aria-pressed", id === filter);
      button.hidden = id !== "all" && id !== filter && !count;
      write(button, button.dataset.title || (button.dataset.title = button.textContent));
      write(button, button.dataset.title + " " + number(count));
    }
    for (const id in columns) {
      const head = $("h-" + id);
      if (id === sorting.column) head.setAttribute("aria-sort", sorting.up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    const first = page * pageSize;
    write($("count"), visible.length > pageSize ? number(first + 1) + "–" + number(first + shown.length) + " of " + number(visible.length) : several(visible.length, "client"));
    $("back").disabled = page === 0;
    $("next").disabled = first + pageSize >= visible.length;
    const body = $("clients").tBodies[0], wanted = [];
    for (const row of shown) {
      wanted.push(line(row));
      if (row.key === opened) wanted.push(detail(row));
    }
    wanted.forEach((tr, index) => {
      if (body.children[index] !== tr) body.insertBefore(tr, body.children[index] || null);
    });
    while (body.children.length > wanted.length) body.lastChild.remove();
    const keys = new Set(shown.map((row) => row.key));
    for (const key of lines.keys()) if (!keys.has(key)) lines.delete(key);
    $("clients").hidden = !shown.length;
    $("empty").hidden = shown.length > 0;
    write($("empty"), rows.length ? "No client matches." : "No client has connected yet.");
  }

  // MARK: An opened client

  let openedRow = null, openedParts = null;
  function toggle(key) {
    selected = key;
    opened = opened === key ? null : key;
    openedParts = null;
    showTable();
    if (opened) refresh();
  }
  function facts(pairs) {
    const list = make("dl");
    for (const [title, text] of pairs) if (text) list.append(make("div", {}, make("dt", {}, title), make("dd", {}, text)));
    return list;
  }
  function table(title, heads, list, row, limit) {
    if (!list.length) return null;
    const body = make("tbody");
    for (const item of list.slice(0, limit || list.length)) {
      const tr = make("tr");
      row(item).forEach((cell, index) => {
        const [text, style] = Array.isArray(cell) ? cell : [cell, ""];
        tr.append(make("td", { class: (heads[index][1] || "") + " " + style }, text));
      });
      body.append(tr);
    }
    const head = make("tr", {}, ...heads.map(([text, style]) => make("th", { class: style || "", scope: "col" }, text)));
    const parts = make("div", {}, make("h3", {}, title), make("div", { class: "scroll" }, make("table", { class: "inner" }, make("thead", {}, head), body)));
    if (limit && list.length > limit) parts.append(make("p", { class: "more" }, "and " + number(list.length - limit) + " more"));
    return parts;
  }
  function place(tunnel) {
    if (tunnel.url) return tunnel.url;
    if (tunnel.transport === "unix" && tunnel.address) return "unix:" + tunnel.address;
    if (!tunnel.port) return tunnel.wanted || "tunnel " + tunnel.tunnel;
    const scheme = tunnel.transport === "tcp" ? "" : tunnel.transport + "://";
    const hosts = (tunnel.address || "*").split(" ");
    if (hosts.includes("0.0.0.0")) return scheme + "*:" + tunnel.port;
    return hosts.map((host) => scheme + (host.includes(":") ? "[" + host + "]" : host) + ":" + tunnel.port).join(" ");
  }
  const isPublic = (tunnel) => tunnel.port !== undefined || tunnel.address !== undefined;
  function health(tunnel) {
    if (!isPublic(tunnel)) return ["not public: " + (tunnel.refusal || "not yet"), "wrap down"];
    if (tunnel.is_service_up === false) return ["service down: " + (tunnel.service_problem || "unknown"), "wrap down"];
    return [tunnel.is_service_up ? "service up" : "public", "dim"];
  }
  const busiest = (list) => list.slice().sort((one, other) => other.bytes_to_service + other.bytes_to_visitor - one.bytes_to_service - one.bytes_to_visitor);
  function target(visitor) {
    const scheme = visitor.transport === "udp" ? "udp://" : "";
    if (visitor.destination) return "→ " + scheme + visitor.destination;
    if (visitor.path) return "unix:" + visitor.path;
    return visitor.port ? scheme + "port " + visitor.port : "";
  }
  function tables(item, visitors, endings) {
    const n = "n";
    const withService = item.tunnels.some((tunnel) => tunnel.service);
    const columns = [["Tunnel"]].concat(withService ? [["Service"]] : [], [["Health"], ["Visitors", n], ["So far", n], ["To service", n], ["To visitor", n]]);
    return [
      table("Tunnels", columns, item.tunnels, (tunnel) => [place(tunnel)].concat(withService ? [tunnel.service || ""] : [], [
        health(tunnel), number(tunnel.visitors), number(tunnel.visitors_so_far), bytes(tunnel.bytes_to_service), bytes(tunnel.bytes_to_visitor)])),
      table("Visitors and connections", [["From"], ["At"], ["For", n], ["To service", n], ["To visitor", n]], busiest(visitors), (visitor) => [
        visitor.address, target(visitor), ago(visitor.since), bytes(visitor.bytes_to_service), bytes(visitor.bytes_to_visitor)], shownVisitors),
      table("Last endings", [["Ended", n], ["From"], ["At"], ["After", n], ["To service", n], ["To visitor", n], ["How"]], endings, (ending) => [
        clock(ending.ended), ending.address, ending.at, time((Date.parse(ending.ended) - Date.parse(ending.since)) / 1000),
        bytes(ending.bytes_to_service), bytes(ending.bytes_to_visitor), [ending.reason, ending.is_finished ? "dim" : "warned wrap"]], 20),
    ].filter((part) => part);
  }
  function endingsOf(item, more) {
    const all = (more || []).map((ending) => ({ ...ending, at: ending.destination ? "→ " + ending.destination : "" }));
    for (const tunnel of item.tunnels) {
      for (const ending of tunnel.endings || []) all.push({ ...ending, at: ending.destination ? "→ " + ending.destination : place(tunnel) });
    }
    return all.sort((one, other) => (one.ended < other.ended ? 1 : -1));
  }
  function detail(row) {
    const item = row.item, isGone = row.state === "gone";
    if (!openedParts || openedParts.key !== row.key) {
      const cell = make("td", { class: "detail", colspan: Object.keys(columns).length });
      const top = make("div", { class: "actions" }), buttons = make("span");
      if (!isGone) buttons.append(make("button", { click: () => renew(row.name) }, "Renew"), " ", make("button", { class: "danger", click: () => kick(row.name) }, "Kick"));
      const list = make("span"), rest = make("div");
      top.append(list, buttons);
      cell.append(top, rest);
      openedParts = { key: row.key, tr: make("tr", { class: "open" }, cell), list, rest };
    }
    openedRow = row;
    const parts = openedParts, selection = getSelection();
    if (selection && !selection.isCollapsed && parts.tr.contains(selection.anchorNode)) return parts.tr;
    parts.list.replaceChildren(facts(isGone ? [
      ["from", row.peer], ["front", row.front], ["version", row.software], ["connected for", time((Date.parse(item.gone_since) - Date.parse(item.since)) / 1000)],
      ["gone for", ago(item.gone_since)], ["why", item.reason], ["had", item.places.join(", ")],
    ] : [
      ["from", row.peer], ["front", row.front], ["version", row.software], ["since", ago(row.since)], ["last seen", ago(row.seen)],
      ["sealed", item.sealed_with || "no"],
      ["WebSocket", row.carrier ? ago(row.carrier) : "none for " + ago(item.without_since)], ["resumes", number(item.resumes)], ["lanes", lanes(item)],
      ["round trip", item.round_trip_ms === undefined ? "" : item.round_trip_ms.toFixed(1) + " ms"],
      ["waiting", item.queued_bytes + item.buffered_bytes ? bytes(item.queued_bytes + item.buffered_bytes) : ""],
      ["rate", rate(row.rate)], ["last loss", item.last_loss && item.last_loss + ", " + ago(item.last_loss_at) + " ago"],
    ]));
    parts.rest.replaceChildren(...(isGone ? [] : tables(item, item.visitors, endingsOf(item, item.endings))));
    if (!isGone && !parts.rest.children.length) parts.rest.replaceChildren(make("p", { class: "more" }, "No tunnel and no connection."));
    return parts.tr;
  }

  /// The page of a client.
  function showOwn() {
    const { connection, session } = status, waits = connection.next_try;
    $("notice").hidden = !connection.last_error || connection.is_connected;
    if (!connection.is_connected && connection.last_error) {
      write($("notice"), connection.last_error + (waits ? " — next try in " + time(Math.max(0, Date.parse(waits) / 1000 - now)) : " — dialling"));
    }
    const item = session || { tunnels: [], visitors: [] };
    const parts = [facts([
      ["server", item.url], ["proxy", session && (item.proxy || "none")], ["software", item.software],
      ["sealed", session && (item.sealed_with || "no")],
      ["session", session && ago(item.since)], ["WebSocket", session && ago(item.carrier_since)], ["resumes", session && number(item.resumes)], ["lanes", session && lanes(item)],
      ["round trip", item.round_trip_ms === undefined ? "" : item.round_trip_ms.toFixed(1) + " ms"],
      ["last error", connection.last_error && connection.last_error + ", " + ago(connection.last_error_at) + " ago"],
    ])].concat(tables(item, own(), endingsOf(item, status.endings)));
    const forwards = table("Forwards", [["Listens"], ["To"], ["Connections", "n"], ["So far", "n"], ["To destination", "n"], ["To program", "n"]], status.forwards, (forward) => [
      forward.address ? forward.address : ["not bound", "down"], forward.destination, number(forward.connections), number(forward.connections_so_far), bytes(forward.bytes_to_destination), bytes(forward.bytes_to_program)]);
    if (forwards) parts.splice(2, 0, forwards);
    $("own").hidden = false;
    $("own").replaceChildren(make("div", { class: "actions" }, parts[0]), ...parts.slice(1));
  }

  // MARK: Requests

  let timer = null, isRunning = false, runsAgain = false;
  async function refresh() {
    if (isRunning) return void (runsAgain = true);
    isRunning = true;
    clearTimeout(timer);
    try {
      const id = opened && opened[0] === "s" ? opened.slice(1) : "0";
      const answer = await fetch("/api/status?session=" + id, { cache: "no-store" });
      if (answer.status === 403) return showDoor();
      const text = await answer.text();
      if (!answer.ok) throw new Error(text.trim());
      const began = performance.now();
      read(text);
      showAll();
      performance.clearMeasures("refresh");
      performance.measure("refresh", { start: began, end: performance.now() });
      failedSince = null;
    } catch (error) {
      failedSince = failedSince || Date.now();
      const reason = error instanceof TypeError ? "culvert dashboard does not answer" : error.message;
      showFailure(reason);
    } finally {
      isRunning = false;
      if (!hasDoor) timer = setTimeout(refresh, runsAgain ? 0 : document.hidden ? 5000 : 1000);
      runsAgain = false;
    }
  }
  function showAll() {
    $("main").hidden = false;
    $("door").hidden = true;
    $("link").className = "";
    write($("link"), "live");
    $("notice").hidden = true;
    showHead();
    showTiles();
    showTable();
  }
  function showFailure(reason) {
    $("link").className = "bad";
    write($("link"), "no status for " + time((Date.now() - failedSince) / 1000));
    $("notice").hidden = false;
    $("main").hidden = false;
    write($("notice"), reason);
  }
  function showDoor() {
    hasDoor = true;
    $("main").hidden = true;
    $("door").hidden = false;
    $("door").replaceChildren(make("b", {}, "This page needs the address that culvert dashboard has printed."),
      "Each address works once. Run the command again for another one.");
  }
  async function post(path) {
    const answer = await fetch(path, { method: "POST", headers: { "X-Culvert-Dashboard": "1" } });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text.trim());
    return text;
  }
  async function act(path, words) {
    try {
      toast(words(JSON.parse(await post(path))));
    } catch (error) {
      toast(error.message);
    }
    refresh();
  }
  let toastTimer = null;
  function toast(text) {
    clearTimeout(toastTimer);
    write($("toast"), text);
    $("toast").hidden = false;
    toastTimer = setTimeout(() => ($("toast").hidden = true), 6000);
  }

  // MARK: Actions

  function confirmed(title, text, button, isDangerous) {
    return new Promise((resolve) => {
      const dialog = $("ask");
      write($("askTitle"), title);
      write($("askText"), text);
      write($("askYes"), button);
      $("askYes").className = isDangerous ? "danger" : "";
      dialog.returnValue = "no";
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
      dialog.showModal();
    });
  }
  async function kick(name) {
    const same = rows.filter((row) => row.state !== "gone" && row.name === name).length;
    const what = same > 1 ? "All " + number(same) + " sessions of this name end" : "Its session ends";
    if (!(await confirmed("Kick " + name + "?", what + ", and its visitors are disconnected. It may return after 10 s.", "Kick", true))) return;
    act("/api/kick?name=" + encodeURIComponent(name), (result) => several(result.kicked, "session") + " of " + name + " ended");
  }
  async function renew(name) {
    const who = name ? name + " moves" : status.role === "server" ? "All clients move" : "This client moves";
    if (!(await confirmed("Renew " + (name || (status.role === "server" ? "all clients" : "the WebSocket")) + "?", who + " to a new WebSocket. The streams go on.", "Renew"))) return;
    act("/api/renew" + (name ? "?name=" + encodeURIComponent(name) : ""), (result) => result.report || several(result.asked, "session") + " asked");
  }
  function move(step) {
    const index = shown.findIndex((row) => row.key === selected);
    let next = index < 0 ? (step > 0 ? 0 : shown.length - 1) : index + step;
    if (next < 0 || next >= shown.length) return;
    selected = shown[next].key;
    showTable();
    lines.get(selected).tr.scrollIntoView({ block: "nearest" });
  }
  function turn(step) {
    page += step;
    showTable();
    scrollTo(0, 0);
  }
  const chosen = () => visible.find((row) => row.key === selected && row.state !== "gone");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || !status) return;
    if (event.target === $("search")) {
      if (event.key === "Escape") { $("search").value = ""; search = ""; $("search").blur(); showTable(); }
      if (event.key === "Enter" || event.key === "ArrowDown") { $("search").blur(); selected = null; move(1); event.preventDefault(); }
      return;
    }
    const isControl = event.target instanceof HTMLButtonElement, row = chosen();
    const keys = {
      "/": () => $("search").focus(), "?": () => $("keys").showModal(), j: () => move(1), ArrowDown: () => move(1), k: () => move(-1),
      ArrowUp: () => move(-1), n: () => $("next").disabled || turn(1), p: () => $("back").disabled || turn(-1), r: () => row && renew(row.name), x: () => row && kick(row.name),
      Enter: isControl ? null : () => selected && toggle(selected), Escape: () => { if (opened) toggle(opened); else { search = $("search").value = ""; showTable(); } },
    };
    if (!keys[event.key]) return;
    keys[event.key]();
    event.preventDefault();
  });
  $("search").addEventListener("input", () => { search = $("search").value.trim().toLowerCase(); page = 0; showTable(); });
  $("back").addEventListener("click", () => turn(-1));
  $("next").addEventListener("click", () => turn(1));
  $("renewAll").addEventListener("click", () => renew());
  $("help").addEventListener("click", () => $("keys").showModal());
  document.addEventListener("visibilitychange", () => document.hidden || hasDoor || refresh());

  // MARK: The start

  async function start() {
    makeTable();
    const secret = location.hash.slice(1);
    if (secret) {
      window.history.replaceState(null, "", location.pathname);
      const answer = await fetch("/login", { method: "POST", headers: { "X-Culvert-Dashboard": "1", "X-Culvert-Secret": secret } });
      // An address that was used before may belong to this browser, whose cookie decides.
      if (!answer.ok && answer.status !== 403) return showFailure("culvert dashboard answered " + answer.status);
    }
    refresh();
  }
  start();
})();
