// Package quota says what counts against a ResourceQuota: what one Pod, one
// Service or any other object uses of which resource, and which scopes it is
// in.
//
// Admission charges with it before an object is stored, and the controller
// counts with it afterwards. Pure functions of the published types.
package quota
