/// How a server is reached.
public enum ProxyChoice: Sendable, Hashable, CustomStringConvertible {
    /// Without a proxy.
    case direct
    /// Through this proxy.
    case proxy(ProxyURL)

    /// What a person wrote: `none`, or a proxy's URL.
    ///
    /// - Throws: as `ProxyURL` does.
    public init(argument text: String) throws(ProxyURLError) {
        self = text == "none" ? .direct : .proxy(try ProxyURL(text))
    }

    /// `none`, or the URL without its password.
    public var description: String {
        switch self {
        case .direct: "none"
        case .proxy(let url): url.description
        }
    }
}
