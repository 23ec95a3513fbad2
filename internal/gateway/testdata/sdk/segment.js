// Tracks with Segment's client what the test expects, against the gateway in argv.
const { Analytics } = require('@segment/analytics-node');
const [host, writeKey] = process.argv.slice(2);
const a = new Analytics({ host, writeKey, flushAt: 100 });
let failed = 0;
a.on('error', (e) => { failed++; console.error(e.code, e.reason); });
const anna = { userId: 'anna' };
a.track({ anonymousId: 'browser-1', event: 'Product Viewed', properties: { product_id: 'tea' } });
a.page({ anonymousId: 'browser-1', name: 'Home', category: 'Start', properties: { url: 'https://shop.example/' } });
a.identify({ ...anna, anonymousId: 'browser-1', traits: { email: 'Anna@Shop.example', consent_email: true, firstName: 'Anna', points: 12 } });
a.track({ ...anna, event: 'Product Added to Wishlist', properties: { product_id: 'cup', category: 'ware' } });
a.track({ ...anna, messageId: 'order-1', event: 'Order Completed', timestamp: new Date(Date.now() - 3600e3), properties: {
  order_id: 'o1', total: 19.990000000000002, currency: 'JPY', affiliation: 'web',
  products: [{ product_id: 'tea', name: 'Tea', price: 9.5, quantity: 2, position: 1 }],
} });
a.track({ ...anna, messageId: 'order-1', event: 'Order Completed', properties: { order_id: 'o1', total: 1 } });
a.screen({ ...anna, name: 'Cart' });
a.group({ ...anna, groupId: 'club', traits: { plan: 'gold' } });
a.alias({ userId: 'anna', previousId: 'shop-7' });
a.track({ userId: 'shop-7', event: 'Product Viewed', properties: { product_id: 'pot' } });
a.closeAndFlush().then(() => process.exit(failed ? 1 : 0));
