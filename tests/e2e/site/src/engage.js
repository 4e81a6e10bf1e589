// A page of a shop that uses @sitecore/engage against the server named in its address.
import { init } from '@sitecore/engage';

const query = new URLSearchParams(location.search);
const pos = query.get('pos');
const common = { channel: 'WEB', currency: 'EUR', pointOfSale: pos, language: 'EN' };

async function visit() {
  const engage = await init({
    clientKey: query.get('key'),
    targetURL: query.get('target'),
    pointOfSale: pos,
    cookieExpiryDays: 1,
    webPersonalization: { baseURLOverride: query.get('target') },
  });
  const told = { browser: engage.getBrowserId(), version: engage.version };
  told.view = await engage.pageView({ ...common, page: 'home' }, { group: { size: 2 } });
  told.custom = await engage.event('SHOP:WISH', { ...common, page: 'home' }, { item: 'hat' });
  told.identity = await engage.identity({
    ...common,
    page: 'login',
    email: 'jane@example.com',
    firstName: 'Jane',
    lastName: 'Doe',
    dob: '1990-01-02T00:00',
    identifiers: [{ provider: 'email', id: 'jane@example.com', expiryDate: '2031-12-31T23:59' }],
  });
  told.form = await engage.form('newsletter', 'SUBMITTED', pos);
  told.order = await engage.event('ORDER_CHECKOUT', {
    ...common,
    page: 'checkout',
    order: {
      referenceId: 'E-1',
      orderedAt: new Date().toISOString(),
      status: 'PURCHASED',
      currencyCode: 'EUR',
      price: 12.5,
      paymentType: 'Card',
      orderItems: [
        { type: 'HAT', referenceId: 'E-1-1', name: 'Hat', price: 12.5, currencyCode: 'EUR' },
      ],
    },
  });
  engage.addToEventQueue('SHOP:LATER', { ...common, page: 'queue' }, { item: 'bag' });
  engage.processEventQueue();
  told.decision = await engage.personalize({ ...common, friendlyId: 'anything' });
  told.guest = await engage.getGuestId();
  return told;
}

visit().then(
  (told) => { window.told = told; },
  (error) => { window.told = { error: String(error) }; },
);
