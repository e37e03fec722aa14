// Pages work without this. With it they keep themselves up to date: what has the attribute data-keep is replaced by what the
// same address shows now, and nothing else, so that the place, the focus and what is being typed stay.
(() => {
  const every = 10000;
  const live = document.body.hasAttribute('data-live') && !document.querySelector('[role=alert]');

  for (const input of document.querySelectorAll('[data-copy]')) {
    if (!navigator.clipboard) break;
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = 'Copy';
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(input.value);
        button.textContent = 'Copied';
      } catch {
        input.select();
      }
    });
    input.after(button);
  }

  document.getElementById('problems')?.focus();

  // What was done is told once, and not again when the page is loaded again.
  const here = new URL(location.href);
  if (here.searchParams.has('done')) {
    here.searchParams.delete('done');
    history.replaceState(null, '', here);
  }

  if (!live) return;

  const state = document.createElement('span');
  state.setAttribute('role', 'status');
  const pause = document.createElement('button');
  pause.type = 'button';
  pause.className = 'small';
  const line = document.querySelector('.as-of');
  line.after(pause, state);
  let paused = false;
  const show = () => { pause.textContent = paused ? 'Go on with updates' : 'Pause updates'; };
  pause.addEventListener('click', () => {
    paused = !paused;
    show();
    if (!paused) update();
  });
  show();

  // What has the focus is found again by where it leads, or by its id.
  const focused = () => {
    const e = document.activeElement;
    return e && e.closest('[data-keep]') ? { keep: e.closest('[data-keep]').dataset.keep, href: e.getAttribute('href'), id: e.id } : null;
  };
  const focus = (was) => {
    const part = document.querySelector(`[data-keep="${was.keep}"]`);
    const all = part ? [...part.querySelectorAll('a, button, input')] : [];
    all.find((e) => (was.id ? e.id === was.id : e.getAttribute('href') === was.href))?.focus({ preventScroll: true });
  };
  const selects = () => {
    const s = getSelection();
    return s && !s.isCollapsed && s.anchorNode?.parentElement?.closest('[data-keep]');
  };

  const excuses = { 401: 'you may have to log in again', 403: 'you may not see it any more', 404: 'it is gone' };
  let running = false;
  const update = async () => {
    if (paused || running || document.hidden || selects()) return;
    running = true;
    try {
      const answer = await fetch(location.href, { cache: 'no-store', redirect: 'manual', signal: AbortSignal.timeout(every) });
      if (!answer.ok) throw new Error(excuses[answer.type === 'opaqueredirect' ? 401 : answer.status] ?? 'the program does not answer as it should');
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const was = focused();
      for (const part of document.querySelectorAll('[data-keep]')) {
        const now = next.querySelector(`[data-keep="${part.dataset.keep}"]`);
        if (now && now.innerHTML !== part.innerHTML) part.replaceChildren(...now.childNodes);
      }
      if (was) focus(was);
      state.textContent = '';
      document.body.classList.remove('stale');
    } catch (e) {
      const why = e instanceof TypeError || e.name === 'TimeoutError' ? 'the program does not answer' : e.message;
      state.textContent = `This page is not up to date: ${why}. It is tried again.`;
      document.body.classList.add('stale');
    } finally {
      running = false;
    }
  };
  setInterval(update, every);
  document.addEventListener('visibilitychange', update);
})();
