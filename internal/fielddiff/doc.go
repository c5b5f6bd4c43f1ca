// Package fielddiff says field by field how two objects of the API differ.
//
// Of takes two values of one published type and returns a Change for every
// field that differs, by its path as users write it. Items of a list are named
// by the list's merge key, as in containers[web].env[DEBUG].value; where there
// is none, or it is not unique, by their place. Fields that are left out and
// fields that are empty are the same, as they are to the API.
package fielddiff
