// The same packages on a server, as an application made with them would call them.
// node node.cjs URL CLIENT_KEY CONTEXT_ID SITE: prints what they were told, as JSON.
const { initServer } = require('@sitecore/engage');
const { CloudSDK } = require('@sitecore-cloudsdk/core/server');
const events = require('@sitecore-cloudsdk/events/server');
const { personalize } = require('@sitecore-cloudsdk/personalize/server');

const [target, key, context, site] = process.argv.slice(2);
const common = { channel: 'WEB', currency: 'EUR', language: 'EN', page: 'server' };
const jane = {
  email: 'jane@example.com',
  firstName: 'Jane',
  identifiers: [{ provider: 'email', id: 'jane@example.com' }],
};

function exchange() {
  const request = { headers: { cookie: '' }, url: '/shop?utm_source=mail' };
  return [request, { setHeader: (name, value) => { request.set = value; } }];
}

async function engage() {
  const [request, response] = exchange();
  const server = initServer({
    clientKey: key,
    targetURL: target,
    pointOfSale: site,
    forceServerCookieMode: true,
  });
  await server.handleCookie(request, response);
  const at = { ...common, pointOfSale: site };
  return {
    cookie: request.set,
    view: await server.pageView(at, request),
    custom: await server.event('SERVER:WISH', at, request, { item: 'hat' }),
    identity: await server.identity({ ...at, ...jane }, request),
    decision: await server.personalize({ ...at, friendlyId: 'anything' }, request),
  };
}

async function cloud() {
  const [request, response] = exchange();
  await CloudSDK(request, response, {
    sitecoreEdgeUrl: target,
    sitecoreEdgeContextId: context,
    siteName: site,
    enableServerCookie: true,
  }).addEvents().addPersonalize({ enablePersonalizeCookie: true }).initialize();
  return {
    cookie: request.headers.cookie,
    view: await events.pageView(request, common),
    custom: await events.event(request, { ...common, type: 'SERVER:WISH' }),
    identity: await events.identity(request, { ...common, ...jane }),
    decision: await personalize(request, { ...common, friendlyId: 'anything' }),
  };
}

(async () => {
  console.log(JSON.stringify({ engage: await engage(), cloud: await cloud() }));
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
