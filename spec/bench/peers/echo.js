// echo.js - Node's own HTTP server as a peer: reads every request to its end and answers "hello".
//
// Prints its port once it listens on the loopback. Nothing of what Node refuses is changed here;
// without a handler of "clientError" it answers 400 itself.
'use strict';
const http = require('node:http');

const server = http.createServer((request, response) => {
  request.resume();
  request.on('end', () => response.end('hello'));
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));

