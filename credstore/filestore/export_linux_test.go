package filestore

var NetworkTypes = networkTypes
