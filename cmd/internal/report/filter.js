'use strict';
(function () {
  const form = document.getElementById('filter');
  const count = document.getElementById('count');
  const rows = Array.from(document.querySelectorAll('#launches > details'));
  function apply() {
    const kind = form.elements.kind.value;
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits = (kind === '' || row.dataset.kind === kind) && words.every(w => row.dataset.search.includes(w));
      row.hidden = !fits;
      if (fits) { shown++; }
    }
    count.textContent = shown + ' of ' + rows.length + ' shown';
  }
  function open() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === 'DETAILS') {
      target.hidden = false;
      target.open = true;
      target.querySelector('summary').focus();
    }
  }
  form.hidden = false;
  form.addEventListener('input', apply);
  form.addEventListener('submit', e => e.preventDefault());
  form.addEventListener('reset', () => setTimeout(apply));
  window.addEventListener('hashchange', open);
  apply();
  open();
}());
