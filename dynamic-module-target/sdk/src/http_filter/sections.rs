//! Fields by the names that Envoy's SDK has for each section.

use super::EnvoyHttpFilter;
use crate::abi::HeaderType;
use crate::buffer::{EnvoyBuffer, HeaderList, HeaderValues};

/// The same by the names of Envoy's SDK, for one section each.
macro_rules! by_section {
    ($($map:ident $get:ident $get_all:ident $list:ident $set:ident $add:ident $remove:ident;)*) => {
        impl EnvoyHttpFilter {$(
            /// [`get_header_value`](Self::get_header_value) of this section.
            #[inline]
            #[must_use]
            pub fn $get(&self, key: &(impl AsRef<[u8]> + ?Sized)) -> Option<EnvoyBuffer<'_>> {
                self.get_header_value(HeaderType::$map, key)
            }

            /// [`get_header_values`](Self::get_header_values) of this section.
            #[inline]
            #[must_use]
            pub fn $get_all<'a>(&'a self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> HeaderValues<'a> {
                self.get_header_values(HeaderType::$map, key)
            }

            /// [`get_headers`](Self::get_headers) of this section.
            #[must_use]
            pub fn $list(&self) -> HeaderList<'_> {
                self.get_headers(HeaderType::$map)
            }

            /// [`set_header`](Self::set_header) of this section.
            pub fn $set(
                &mut self,
                key: &(impl AsRef<[u8]> + ?Sized),
                value: &(impl AsRef<[u8]> + ?Sized),
            ) -> bool {
                self.set_header(HeaderType::$map, key, value)
            }

            /// [`add_header`](Self::add_header) of this section.
            pub fn $add(
                &mut self,
                key: &(impl AsRef<[u8]> + ?Sized),
                value: &(impl AsRef<[u8]> + ?Sized),
            ) -> bool {
                self.add_header(HeaderType::$map, key, value)
            }

            /// [`remove_header`](Self::remove_header) of this section.
            pub fn $remove(&mut self, key: &(impl AsRef<[u8]> + ?Sized)) -> bool {
                self.remove_header(HeaderType::$map, key)
            }
        )*}
    };
}

by_section! {
    RequestHeader get_request_header_value get_request_header_values get_request_headers
        set_request_header add_request_header remove_request_header;
    ResponseHeader get_response_header_value get_response_header_values get_response_headers
        set_response_header add_response_header remove_response_header;
}
