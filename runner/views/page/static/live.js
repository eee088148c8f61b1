// Entry of the live page: the frame over the server's data. A frozen file has an entry of its own.
import { start } from "./main.js";
import { HttpSource } from "./source-http.js";
import { exchangeToken } from "./token.js";

exchangeToken().finally(() => start(new HttpSource()));
