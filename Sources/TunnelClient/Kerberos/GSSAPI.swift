import CGSSAPI
import Platform
import ProxyConnect
import TunnelAdmin
import TunnelCore

/// The system's GSSAPI, loaded when a proxy first asks for Negotiate.
///
/// The library finds the user's ticket itself: in the cache that `KRB5CCNAME` names, in the default cache, or by the
/// keytab of `KRB5_CLIENT_KTNAME`.
struct GSSAPI: @unchecked Sendable {
    // The library is never unloaded, and its functions may be called from any thread.

    /// The libraries of MIT, Heimdal and Apple.
    private static let names = [
        "libgssapi_krb5.so.2", "libgssapi.so.3", "/System/Library/Frameworks/GSS.framework/GSS",
    ]

    private static let loaded: Result<GSSAPI, TicketFailure> = Result { () throws(TicketFailure) in try GSSAPI() }

    let importName: culvert_gss_import_name
    let initSecContext: culvert_gss_init_sec_context
    let displayStatus: culvert_gss_display_status
    let deleteSecContext: culvert_gss_delete_sec_context
    let releaseName: culvert_gss_release_name
    let releaseBuffer: culvert_gss_release_buffer

    /// The library, loaded once.
    static func shared() throws(TicketFailure) -> GSSAPI { try loaded.get() }

    private init() throws(TicketFailure) {
        guard let library = Self.names.lazy.compactMap({ dlopen($0, RTLD_NOW | RTLD_LOCAL) }).first else {
            throw TicketFailure(
                reason: "this machine has no GSSAPI library",
                remedy: "install it (Debian, Ubuntu: libgssapi-krb5-2; Fedora: krb5-libs), or give --proxy-user and "
                    + "--proxy-password-file"
            )
        }
        importName = try Self.function("gss_import_name", library)
        initSecContext = try Self.function("gss_init_sec_context", library)
        displayStatus = try Self.function("gss_display_status", library)
        deleteSecContext = try Self.function("gss_delete_sec_context", library)
        releaseName = try Self.function("gss_release_name", library)
        releaseBuffer = try Self.function("gss_release_buffer", library)
    }

    private static func function<Function>(
        _ name: String,
        _ library: UnsafeMutableRawPointer
    ) throws(TicketFailure) -> Function {
        guard let symbol = dlsym(library, name) else {
            throw TicketFailure(
                reason: "this machine's GSSAPI library has no \(name)",
                remedy: "install MIT Kerberos' library (Debian, Ubuntu: libgssapi-krb5-2)"
            )
        }
        // The caller's type is that of RFC 2744 for this name.
        return unsafeBitCast(symbol, to: Function.self)
    }

    /// The library's text for a status: the mechanism's own, if it has one.
    func text(_ major: UInt32, _ minor: UInt32) -> String {
        let mechanism = minor == 0 ? nil : message(minor, kind: 2)
        return (mechanism ?? message(major, kind: 1) ?? "status \(major)").escapedForDisplay(limit: 300)
    }

    private func message(_ status: UInt32, kind: Int32) -> String? {
        var (minor, more): (UInt32, UInt32) = (0, 0)
        var buffer = culvert_gss_buffer()
        guard displayStatus(&minor, status, kind, nil, &more, &buffer) == 0 else { return nil }
        defer { _ = releaseBuffer(&minor, &buffer) }
        // The length of some texts includes the zero at their end.
        let text = String(decoding: buffer.bytes.filter { $0 != 0 }, as: UTF8.self)
        return text.isEmpty ? nil : text
    }
}

extension culvert_gss_buffer {
    /// A copy of the bytes, which the library owns.
    var bytes: [UInt8] { Array(UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : length)) }
}
