// Counts what came of each client's refresh tokens. oidc-provider sees a token that comes twice only if the first request
// has ended; this sees it always.
import { createHash } from 'node:crypto';

// countRefreshes returns a function of the client's id: how many requests came, of which granted, of which with a token
// that had been granted a successor before (reused), of which refused for another reason.
export function countRefreshes(provider) {
  const counts = new Map();
  const used = new Set();

  function of(id) {
    if (!counts.has(id)) counts.set(id, { requests: 0, granted: 0, reused: 0, refused: 0 });
    return counts.get(id);
  }

  function count(granted) {
    return (ctx) => {
      const { params, client } = ctx.oidc;
      if (params?.grant_type !== 'refresh_token') return;
      const counted = of(client?.clientId ?? params.client_id);
      counted.requests += 1;
      const token = createHash('sha256').update(params.refresh_token ?? '').digest('hex');
      if (used.has(token)) counted.reused += 1;
      else if (granted) used.add(token);
      else counted.refused += 1;
      if (granted) counted.granted += 1;
    };
  }

  provider.on('grant.success', count(true));
  provider.on('grant.error', count(false));
  return of;
}
