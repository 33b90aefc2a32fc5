/// Limits on an upgrade's extensions, listed here for the table of limits. The type that holds each limit states its
/// reason.
extension WebSocketLimits {
    /// Extensions read from one list.
    package static var extensions: Int { ExtensionElement.maximumElements }
    /// Parameters read from one extension.
    package static var extensionParameters: Int { ExtensionElement.maximumParameters }
}
