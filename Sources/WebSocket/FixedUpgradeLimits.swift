/// Bounds of an upgrade's extensions, for the table of limits. Their reasons stand at the types that hold them.
extension WebSocketLimits {
    /// Extensions that are read of one list.
    package static var extensions: Int { ExtensionElement.maximumElements }
    /// Parameters that are read of one extension.
    package static var extensionParameters: Int { ExtensionElement.maximumParameters }
}
