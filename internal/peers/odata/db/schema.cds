namespace peers;
using { managed } from '@sap/cds/common';

entity Books : managed {
  key ID : Integer;
  title  : String(111) @mandatory;
  stock  : Integer @assert.range: [0, 1000];
}
