// The page at /docs: Swagger UI on the document beside it, and a login.
//
// Rules that hold here:
// * A token is a secret: it is in this page's memory and nowhere else, and a reload forgets it.
// * Nothing is known of a stack but its document: the login is the operation that takes a password and answers an
//   access token, the renewal the one that takes a refresh token.
// * Text of the document and of answers is shown as text.
"use strict";

(() => {
  const element = (id) => document.getElementById(id);
  const text = (node, words) => {
    node.textContent = words;
    node.closest("[hidden]")?.removeAttribute("hidden");
  };

  let api = {};
  let session = null; // {token, refresh, until: milliseconds, name}

  // The document --------------------------------------------------------------------------------------------

  const resolved = (value) =>
    value?.$ref ? value.$ref.slice(2).split("/").reduce((inner, name) => inner?.[name], api) : value;
  const schemaOf = (holder) => resolved(resolved(holder)?.content?.["application/json"]?.schema);

  // The operation (a POST) that takes `field` and answers an access token. Of several (making an account may answer
  // one, too) it is the one that is called a login, else the one that wants least.
  function exchange(field) {
    const posts = Object.entries(api.paths ?? {}).map(([path, item]) => [path, item.post]);
    const found = posts
      .filter(([, post]) => schemaOf(post?.responses?.["200"])?.properties?.access_token)
      .map(([path, post]) => ({ path, schema: schemaOf(post.requestBody) }))
      .filter(({ schema }) => schema?.properties?.[field]);
    const called = ({ path }) => (/(log|sign)[-_]?in/i.test(path) ? 0 : 1);
    const wanted = ({ schema }) => schema.required?.length ?? 0;
    return found.sort((one, other) => called(one) - called(other) || wanted(one) - wanted(other))[0] ?? null;
  }

  function bearers() {
    const schemes = Object.entries(api.components?.securitySchemes ?? {});
    return schemes.filter(([, scheme]) => scheme.type === "http" && scheme.scheme === "bearer");
  }

  function read(found) {
    api = found ?? {};
    const missing = api["x-unavailable"] ?? [];
    element("missing").hidden = !missing.length;
    element("missing").querySelector("span").textContent = `Not answering, and so not described: ${missing.join(", ")}.`;
    offerLogin();
  }

  // The session ---------------------------------------------------------------------------------------------

  function offerLogin() {
    const form = element("login");
    const login = bearers().length ? exchange("password") : null;
    form.hidden = !login || session !== null;
    if (!login || form.childElementCount) return;
    const fields = login.schema.required ?? Object.keys(login.schema.properties);
    for (const name of fields) form.append(input(name));
    const button = document.createElement("button");
    button.textContent = "Log in";
    form.append(button);
  }

  function input(name) {
    const kinds = { email: "email", password: "password" };
    const completes = { email: "username", password: "current-password" };
    const field = Object.assign(document.createElement("input"), {
      name, required: true, type: kinds[name] ?? "text", placeholder: name, autocomplete: completes[name] ?? "off",
    });
    field.setAttribute("aria-label", name);
    return field;
  }

  async function post(path, body) {
    const headers = { "Content-Type": "application/json", Accept: "application/json" };
    const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail ?? answer.title ?? `${response.status}`);
    return answer;
  }

  function begin(answer, name) {
    session = {
      name,
      token: answer.access_token,
      refresh: answer.refresh_token,
      until: Date.now() + 1000 * (answer.expires_in ?? Infinity),
    };
    for (const [key, schema] of bearers()) {
      ui.authActions.authorize({ [key]: { name: key, schema, value: session.token } });
    }
    element("said").hidden = true;
    element("login").hidden = true;
    text(element("person").querySelector("span"), name ? `Signed in: ${name}` : "Signed in");
  }

  function end(words) {
    session = null;
    ui.authActions.logout(bearers().map(([key]) => key));
    element("person").hidden = true;
    offerLogin();
    if (words) text(element("said"), words);
  }

  // Before a request: a token that is about to expire is renewed, where the API has an operation for that.
  async function renewed(request) {
    if (!session || Date.now() < session.until - 5000 || !(request.headers?.Authorization ?? "").endsWith(session.token)) {
      return request;
    }
    const renewal = exchange("refresh_token");
    try {
      if (!renewal || !session.refresh) throw new Error("it cannot be renewed");
      begin(await post(renewal.path, { refresh_token: session.refresh }), session.name);
      request.headers.Authorization = `Bearer ${session.token}`;
    } catch (error) {
      end(`The session has expired (${error.message}). Log in again.`);
    }
    return request;
  }

  // After one: tokens that were asked for by "Try it out" are used from then on.
  function taken(response) {
    let answer = null;
    try {
      answer = JSON.parse(response.text);
    } catch { /* no JSON, so no token */ }
    if (response.ok && typeof answer?.access_token === "string") begin(answer, session?.name);
    return response;
  }

  element("login").addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const given = Object.fromEntries(new FormData(form));
    try {
      begin(await post(exchange("password").path, given), given.email ?? given.username);
      form.reset();
    } catch (error) {
      text(element("said"), `Not logged in: ${error.message}`);
    }
  });
  element("person").querySelector("button").addEventListener("click", () => end());
  element("missing").querySelector("button").addEventListener("click", () => ui.specActions.download());

  // Swagger UI ----------------------------------------------------------------------------------------------

  // A heading above the first of each service's tags that are shown.
  const services = (Original, system) => (props) => {
    const h = system.React.createElement;
    const shown = system.specSelectors.taggedOperations().keySeq().toArray();
    const group = (api["x-tagGroups"] ?? []).find((each) => each.tags.includes(props.tag));
    const first = group && shown.find((tag) => group.tags.includes(tag)) === props.tag;
    return h(system.React.Fragment, null, first ? h("h2", { className: "service" }, group.name) : null, h(Original, props));
  };
  const reading = (original) => (found) => {
    read(found);
    return original(found);
  };

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();

  const ui = SwaggerUIBundle({
    url: new URL("openapi.json", document.baseURI).href,
    dom_id: "#api",
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    docExpansion: "list",
    filter: true,
    persistAuthorization: false,
    validatorUrl: null,
    requestInterceptor: renewed,
    responseInterceptor: taken,
    plugins: [
      () => ({
        wrapComponents: { OperationTag: services },
        statePlugins: { spec: { wrapActions: { updateJsonSpec: reading } } },
      }),
    ],
  });
})();
