// Shows openapi.json and sends requests.  No library, no network but this server.
"use strict";

const base = location.pathname.replace(/\/docs\/?$/, "");
let doc;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  element.append(...children.filter(child => child !== undefined));
  return element;
}

function resolve(schema) {
  for (let i = 0; schema && schema.$ref && i < 20; i++)
    schema = schema.$ref.slice(2).split("/").reduce((at, key) => at && at[key.replace(/~1/g, "/").replace(/~0/g, "~")], doc);
  return schema || {};
}

// A value that fits the schema: what a reader would begin with.
function example(schema, depth = 0) {
  schema = resolve(schema);
  if (schema.enum) return schema.enum[schema.enum.length > 1 ? 1 : 0];
  if (schema.type === "object") {
    const value = {};
    const names = Object.keys(schema.properties || {});
    if (depth < 3)
      for (const name of names)
        if ((schema.required || []).includes(name) || depth === 0) value[name] = example(schema.properties[name], depth + 1);
    return value;
  }
  if (schema.type === "array") return schema.minItems ? Array(schema.minItems).fill(example(schema.items, depth + 1)) : [];
  if (schema.type === "integer" || schema.type === "number") return Math.max(schema.minimum > 0 ? schema.minimum : 0, 0);
  if (schema.type === "boolean") return false;
  if (schema.format === "date-time") return new Date().toISOString();
  return schema.format === "int64" || schema.format === "uint64" ? "0" : "";
}

function typeName(schema) {
  if (schema && schema.$ref) return schema.$ref.split("/").pop().split(".").pop();
  schema = schema || {};
  if (schema.type === "array") return typeName(schema.items) + "[]";
  if (schema.enum) return schema.enum.join(" | ");
  return [schema.type, schema.format].filter(Boolean).join(" ") || "any";
}

function limits(schema) {
  return ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern"]
    .filter(key => schema[key] !== undefined)
    .map(key => `${key} ${schema[key]}`).join(", ");
}

function parametersTable(operation) {
  const rows = wanted => (operation.parameters || []).map(resolve).filter(wanted).map(parameter => {
    const input = make("input", {
      "data-name": parameter.name, "data-in": parameter.in, placeholder: parameter.required ? "required" : "",
      "aria-label": parameter.name, "data-list": parameter.schema.type === "array",
    });
    return make("tr", {}, make("td", {}, make("code", {}, parameter.name)), make("td", {}, input),
                make("td", { class: "quiet" }, typeName(parameter.schema) + " in " + parameter.in),
                make("td", {}, [parameter.description, parameter.schema.description, limits(parameter.schema)].filter(Boolean).join("; ")));
  });
  const own = rows(parameter => !parameter.name.startsWith("$")), shared = rows(parameter => parameter.name.startsWith("$"));
  return [own.length ? make("table", {}, ...own) : undefined,
          shared.length ? make("details", {}, make("summary", {}, "form of the answer"),
                               make("div", { class: "inside" }, make("table", {}, ...shared))) : undefined];
}

function bodyFields(schema) {
  schema = resolve(schema);
  const rows = Object.entries(schema.properties || {}).map(([name, field]) => make("tr", {},
    make("td", {}, make("code", {}, name), (schema.required || []).includes(name) ? " *" : ""),
    make("td", { class: "quiet" }, typeName(field)),
    make("td", {}, [field.description, limits(field)].filter(Boolean).join("; "))));
  return rows.length ? make("details", {}, make("summary", {}, "fields"), make("div", { class: "inside" }, make("table", {}, ...rows)))
                     : undefined;
}

function quote(text) {
  return "'" + text.replace(/'/g, "'\\''") + "'";
}

function buildRequest(path, method, form) {
  const query = new URLSearchParams();
  const headers = {};
  for (const input of form.querySelectorAll("[data-name]")) {
    const { name, in: where } = input.dataset;
    if (where === "path") path = path.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value === "") continue;
    else if (where === "query" && input.hasAttribute("data-list"))
      input.value.split(",").forEach(value => query.append(name, value));
    else if (where === "query") query.append(name, input.value);
    else headers[name] = input.value;
  }
  const authorization = document.getElementById("authorization").value;
  if (authorization) headers.Authorization = authorization;
  const accept = form.querySelector("select");
  if (accept) headers.Accept = accept.value;
  const area = form.querySelector("textarea");
  if (area) headers["Content-Type"] = area.dataset.type;
  const url = base + path + (query.size || String(query) ? "?" + query : "");
  const curl = ["curl", "-X", method.toUpperCase(), ...Object.entries(headers).flatMap(([k, v]) => ["-H", quote(`${k}: ${v}`)]),
                ...(area ? ["-d", quote(area.value)] : []), quote(location.origin + url)].join(" ");
  return { url, curl, options: { method: method.toUpperCase(), headers, body: area ? area.value : undefined } };
}

function pretty(text, type) {
  if (!/json/.test(type) || /ndjson/.test(type)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function send(path, method, form, state) {
  if (state.stop) {
    state.stop.abort();
    return;
  }
  const { url, curl, options } = buildRequest(path, method, form);
  const status = form.querySelector(".status"), output = form.querySelector(".answer"), button = form.querySelector("button");
  form.querySelector(".curl").textContent = curl;
  output.hidden = false;
  output.textContent = "";
  status.textContent = "…";
  state.stop = new AbortController();
  button.textContent = "Stop";
  const began = performance.now();
  try {
    const response = await fetch(url, { ...options, signal: state.stop.signal });
    const type = response.headers.get("content-type") || "";
    status.className = "status " + (response.ok ? "good" : "bad");
    status.textContent = `${response.status} ${type}`;
    const reader = response.body ? response.body.getReader() : undefined;
    const decoder = new TextDecoder();
    let text = "";
    while (reader) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
      output.textContent = text.slice(-200000);
    }
    output.textContent = pretty(text, type);
    status.textContent += ` in ${Math.round(performance.now() - began)} ms, ${text.length} characters`;
  } catch (error) {
    status.className = "status bad";
    status.textContent = error.name === "AbortError" ? "stopped" : String(error);
  } finally {
    state.stop = undefined;
    button.textContent = "Send";
  }
}

function operationForm(path, method, operation) {
  const success = Object.entries(operation.responses).find(([code]) => code.startsWith("2"));
  const kinds = Object.keys((success && success[1].content) || {});
  const bodyKind = operation.requestBody && Object.keys(operation.requestBody.content)[0];
  const schema = bodyKind && operation.requestBody.content[bodyKind].schema;
  const state = {};
  const form = make("form", { class: "inside", onsubmit: event => { event.preventDefault(); send(path, method, form, state); } },
    operation.description && make("p", {}, operation.description),
    make("p", { class: "quiet" }, "gRPC ", make("code", {}, operation["x-grpc-method"] || "")),
    ...parametersTable(operation),
    bodyKind && make("textarea", { "data-type": bodyKind === "*/*" ? "application/octet-stream" : bodyKind, "aria-label": "body" },
                     schema ? JSON.stringify(example(schema), null, 2) : ""),
    schema && bodyFields(schema),
    make("div", { class: "row" }, make("button", {}, "Send"),
      kinds.length > 1 ? make("select", { "aria-label": "form of the answer" },
                              ...kinds.map(kind => make("option", { selected: kind === "text/event-stream" }, kind))) : undefined,
      make("span", { class: "status", role: "status" })),
    make("pre", { class: "answer", hidden: true }),
    make("code", { class: "curl quiet" }));
  return form;
}

function operationView(path, method, operation) {
  const view = make("details", { "data-text": `${method} ${path} ${operation.operationId} ${operation.summary} ${operation.description || ""}`.toLowerCase() },
    make("summary", {}, make("span", { class: "method " + method }, method), make("span", { class: "path" }, path),
         make("span", { class: "says" }, operation.summary || "")));
  view.addEventListener("toggle", () => {
    if (view.open && view.children.length === 1) view.append(operationForm(path, method, operation));
  });
  return view;
}

function show() {
  document.title = doc.info.title + " API";
  document.getElementById("title").textContent = `${doc.info.title} API v${doc.info.version}`;
  const main = document.getElementById("operations");
  main.textContent = "";
  for (const tag of doc.tags) {
    main.append(make("h2", {}, tag.name), make("p", { class: "quiet" }, tag.description || ""));
    for (const [path, item] of Object.entries(doc.paths))
      for (const [method, operation] of Object.entries(item))
        if (operation.tags.includes(tag.name)) main.append(operationView(path, method, operation));
  }
}

document.getElementById("find").addEventListener("input", event => {
  const wanted = event.target.value.toLowerCase();
  for (const view of document.querySelectorAll("#operations > details")) view.hidden = !view.dataset.text.includes(wanted);
});

fetch(base + "/openapi.json").then(response => response.json()).then(json => {
  doc = json;
  show();
}).catch(error => {
  document.getElementById("operations").textContent = "The document could not be read: " + error;
});
