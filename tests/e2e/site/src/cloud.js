// A page of a site that uses the Cloud SDK against the edge paths of the server in its address.
import { CloudSDK, getBrowserId, getGuestId } from '@sitecore-cloudsdk/core/browser';
import { event, form, identity, pageView } from '@sitecore-cloudsdk/events/browser';
import { personalize } from '@sitecore-cloudsdk/personalize/browser';

const query = new URLSearchParams(location.search);
const common = { channel: 'WEB', currency: 'EUR', language: 'EN' };

async function visit() {
  CloudSDK({
    sitecoreEdgeUrl: query.get('target'),
    sitecoreEdgeContextId: query.get('context'),
    siteName: query.get('site'),
    enableBrowserCookie: true,
  })
    .addEvents()
    .addPersonalize({ enablePersonalizeCookie: true, webPersonalization: true })
    .initialize();
  const told = {};
  told.view = await pageView({ ...common, page: 'home', extensionData: { size: 2 } });
  told.custom = await event({ ...common, type: 'SITE:WISH', extensionData: { item: 'hat' } });
  told.identity = await identity({
    ...common,
    email: 'jane@example.com',
    firstName: 'Jane',
    lastName: 'Doe',
    identifiers: [{ provider: 'email', id: 'jane@example.com', expiryDate: '2031-12-31T23:59' }],
  });
  told.form = await form('newsletter', 'VIEWED', 'component');
  told.order = await event({
    ...common,
    type: 'ORDER_CHECKOUT',
    order: {
      referenceId: 'C-1',
      orderedAt: new Date().toISOString(),
      status: 'PURCHASED',
      currencyCode: 'EUR',
      price: 7,
      paymentType: 'PayPal',
      orderItems: [{ type: 'BAG', referenceId: 'C-1-1', name: 'Bag', price: 7 }],
    },
  });
  told.decision = await personalize({ ...common, friendlyId: 'anything' });
  told.browser = getBrowserId();
  told.guest = await getGuestId();
  return told;
}

visit().then(
  (told) => { window.told = told; },
  (error) => { window.told = { error: String(error) }; },
);
