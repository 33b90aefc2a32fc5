/// The way to reach a server.
public enum ProxyChoice: Sendable, Hashable, CustomStringConvertible {
    /// Without a proxy.
    case direct
    /// Through this proxy.
    case proxy(ProxyURL)

    /// Parses `none` or a proxy's URL.
    ///
    /// - Throws: ``ProxyURLError`` if the text is neither.
    public init(argument text: String) throws(ProxyURLError) {
        self = text == "none" ? .direct : .proxy(try ProxyURL(text))
    }

    /// The text `none`, or the URL without its password.
    public var description: String {
        switch self {
        case .direct: "none"
        case .proxy(let url): url.description
        }
    }
}
