using peers from '../db/schema';

@requires: 'authenticated-user'
service CatalogService {
  @cds.query.limit: { default: 2 }
  entity Books as projection on peers.Books;
}
annotate CatalogService.Books with { modifiedAt @odata.etag };

@requires: 'odata.write'
service AdminService {
  entity Books as projection on peers.Books;
}
