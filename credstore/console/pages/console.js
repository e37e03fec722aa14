// Pages work without this. With it they keep themselves up to date: what has the attribute data-keep is made like what the same
// address shows now. What is alike in both stays as it is, and with it the place, the focus, a selection and what is being typed.
(() => {
  const every = 10000;

  // This page may be the answer to a form, or tell what was done: loaded again, it is the page that has that address.
  const { here } = document.body.dataset;
  if (here) history.replaceState(null, '', here);

  document.querySelector('[role=alert]')?.focus();

  // A form is posted once, however often and long somebody clicks: until there is an answer, or it may be that none comes.
  const patience = 15000;
  let sent = null;
  const free = () => {
    sent?.removeAttribute('aria-busy');
    sent = null;
  };
  document.addEventListener('submit', (event) => {
    if (event.target.method !== 'post') return;
    if (event.target === sent) {
      event.preventDefault();
      return;
    }
    free();
    sent = event.target;
    sent.setAttribute('aria-busy', 'true');
    setTimeout(free, patience);
  });
  addEventListener('pageshow', free);

  document.addEventListener('click', async (event) => {
    const button = event.target.closest('button');
    if (button?.matches('[data-copy]')) await copy(button);
    if (button?.matches('[data-add]')) addRow(button);
  });

  const copy = async (button) => {
    const input = button.parentElement.querySelector('input');
    try {
      await navigator.clipboard.writeText(input.value);
      button.textContent = 'Copied';
    } catch {
      input.select(); // for the keys that copy
      button.textContent = 'Selected';
    }
  };

  // A row that is added is like the last one, but for its number, and for what was entered.
  const after = (text) => text.replace(/\d+(?=\D*$)/, (n) => Number(n) + 1);
  const addRow = (button) => {
    const rows = button.closest('fieldset');
    const last = [...rows.querySelectorAll('.row')].at(-1);
    const row = last.cloneNode(true);
    for (const e of row.querySelectorAll('*')) {
      for (const name of ['id', 'name', 'for', 'aria-describedby']) if (e.hasAttribute(name)) e.setAttribute(name, after(e.getAttribute(name)));
      if (e.matches('label')) e.textContent = after(e.textContent);
      if (e.matches('input')) e.value = '';
    }
    last.after(row);
    row.querySelector('input').focus();
    if (rows.querySelectorAll('.row').length >= Number(button.dataset.add)) button.remove();
  };

  const line = document.querySelector('.as-of');
  if (!line) return;

  const pause = document.createElement('button');
  pause.type = 'button';
  pause.className = 'small';
  const state = document.createElement('span');
  state.setAttribute('role', 'status');
  const again = document.createElement('a'); // shown where the page is not up to date
  again.href = '';
  again.textContent = 'Load it again';
  line.append(pause, state, again);
  const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  let paused = false;
  const show = () => say(pause, paused ? 'Go on with updates' : 'Pause updates');
  pause.addEventListener('click', () => {
    paused = !paused;
    show();
    if (!paused) update();
  });
  show();

  // nameOf tells an element from its neighbours, so that it is found again where it has moved: a link by where it leads, and a
  // row or an item by its first link.
  const nameOf = (node) => node.dataset?.key ?? (/^(TR|LI)$/.test(node.nodeName) ? node.querySelector('a') : node)?.getAttribute?.('href') ?? null;

  // patch makes a node like another one of the same kind, by as few changes as it can.
  const patch = (old, now) => {
    if (old.isEqualNode(now)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = now.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) if (!now.hasAttribute(name) && name !== 'aria-busy') old.removeAttribute(name);
    for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const free = [...old.childNodes];
    const children = [...now.childNodes].map((next) => {
      const at = free.findIndex((child) => child.nodeName === next.nodeName && nameOf(child) === nameOf(next));
      if (at < 0) return next;
      const [child] = free.splice(at, 1);
      patch(child, next);
      return child;
    });
    for (const child of free) child.remove();
    let place = old.firstChild;
    for (const child of children) {
      // What moves loses the focus, so what has no name makes way, and is put back where it belongs.
      while (place && place !== child && child.parentNode === old && nameOf(child) && !nameOf(place)) {
        const way = place;
        place = place.nextSibling;
        way.remove();
      }
      if (place === child) place = place.nextSibling;
      else old.insertBefore(child, place);
    }
  };

  // patchAll makes the page like the next one, and returns what there is to say of that: what has the attribute data-say is told
  // when it changes. Whose focus was on what is gone is at what was beside it.
  const patchAll = (next) => {
    const focused = document.activeElement;
    const all = [...document.querySelectorAll('main a, main button, main input, main select')];
    const at = all.indexOf(focused);
    const said = () => [...document.querySelectorAll('[data-say]')].map((e) => e.textContent.trim()).join(', ');
    const before = said();
    for (const part of document.querySelectorAll('[data-keep]')) patch(part, next.querySelector(`[data-keep="${part.dataset.keep}"]`));
    if (document.activeElement !== focused) {
      const beside = [...all.slice(0, at + 1).reverse(), ...all.slice(at + 1), document.getElementById('main')];
      beside.find((e) => e.isConnected && e.getClientRects().length).focus({ preventScroll: true });
    }
    document.title = next.title;
    return said() === before ? '' : `Now: ${said()}`;
  };

  const excuses = {
    401: 'you may have to log in again.', 403: 'you may not see it any more.', 404: 'it is gone.',
    503: 'the store does not answer. It is tried again.',
  };
  let running = false;
  const update = async () => {
    if (paused || running || document.hidden) return;
    running = true;
    try {
      const answer = await fetch(location.href, { cache: 'no-store', redirect: 'manual', signal: AbortSignal.timeout(every) });
      if (!answer.ok) throw new Error(excuses[answer.type === 'opaqueredirect' ? 401 : answer.status] ?? 'the program does not answer as it should. It is tried again.');
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      if (!next.querySelector('[data-keep]')) throw new Error(excuses[401]); // it is not a page of ours
      if (paused) return;
      say(state, patchAll(next));
      document.documentElement.classList.remove('stale');
    } catch (e) {
      const why = e instanceof TypeError || e.name === 'TimeoutError' ? 'the program does not answer. It is tried again.' : e.message;
      say(state, `This page is not up to date: ${why}`);
      document.documentElement.classList.add('stale');
    } finally {
      running = false;
    }
  };
  setInterval(update, every);
  document.addEventListener('visibilitychange', update);
})();
