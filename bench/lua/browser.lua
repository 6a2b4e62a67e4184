-- Twelve fields as a browser sends them; with Host, which wrk sets, thirteen.
local token = string.rep("eyJzdWIiOiIxMjM0NTY3ODkwIn0", 5)
local fields = {
  ["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  ["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
  ["Accept-Language"] = "el-GR,el;q=0.8,en-US;q=0.5,en;q=0.3",
  ["Accept-Encoding"] = "identity",
  ["Cookie"] = "session=5f1d7a90c3b2e8460a97; theme=dark; consent=necessary.statistics; cart=8841.3.2",
  ["Authorization"] = "Bearer " .. token,
  ["Cache-Control"] = "no-cache",
  ["Pragma"] = "no-cache",
  ["Referer"] = "https://shop.example/orders/list?page=2&sort=date",
  ["Sec-Fetch-Dest"] = "empty",
  ["Sec-Fetch-Mode"] = "cors",
  ["Sec-Fetch-Site"] = "same-origin",
}
for name, value in pairs(fields) do
  wrk.headers[name] = value
end
