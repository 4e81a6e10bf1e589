// Addresses of the product whose API this serves: /#/guests/list?filter=customer&q=bid:…
"use strict";

const oldAddress = location.hash.match(/^#\/guests\/list\?(.*)$/);
const guestsPath = document.querySelector("[data-guests]")?.dataset.guests;
if (oldAddress && guestsPath) {
  const oldQuery = new URLSearchParams(oldAddress[1]);
  const query = new URLSearchParams();
  if (oldQuery.get("q")) query.set("q", oldQuery.get("q"));
  if (oldQuery.get("filter")) query.set("type", oldQuery.get("filter").toLowerCase());
  location.replace(`${guestsPath}?${query}`);
}
