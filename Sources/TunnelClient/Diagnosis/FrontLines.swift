/// Lines of a front's configuration, to paste.
enum FrontLines {
    private enum Product: CaseIterable {
        case nginx, haproxy, apache

        /// What its answers say.
        var marks: [String] {
            switch self {
            case .nginx: ["nginx", "openresty"]
            case .haproxy: ["haproxy"]
            case .apache: ["apache"]
            }
        }

        var title: String {
            switch self {
            case .nginx: "nginx, in the location of the endpoint:"
            case .haproxy: "HAProxy, with a backend of mode http:"
            case .apache: "Apache httpd, in <Location /tunnel>:"
            }
        }
    }

    /// The lines with which a front passes the upgrade on.
    ///
    /// - Parameter answer: the front's answer, which may name its product; without a known one the lines are those of all.
    static func upgrade(_ answer: String) -> [String] {
        lines(for: answer) { product in
            switch product {
            case .nginx:
                [
                    "proxy_pass http://127.0.0.1:8080;", "proxy_http_version 1.1;",
                    "proxy_set_header Upgrade $http_upgrade;", "proxy_set_header Connection \"upgrade\";",
                    "proxy_set_header Host $host;", "proxy_set_header X-Forwarded-For $remote_addr;",
                ]
            case .haproxy:
                ["server culvert 127.0.0.1:8080"]
            case .apache:
                ["ProxyPass http://127.0.0.1:8080/tunnel upgrade=websocket"]
            }
        }
    }

    /// The lines with which a front reports its peer's address.
    static func forwardedFor(_ answer: String) -> [String] {
        lines(for: answer) { product in
            switch product {
            case .nginx: ["proxy_set_header X-Forwarded-For $remote_addr;"]
            case .haproxy: ["http-request set-header X-Forwarded-For %[src]"]
            case .apache: ["ProxyAddHeaders On"]
            }
        }
    }

    private static func lines(for answer: String, _ make: (Product) -> [String]) -> [String] {
        let answer = answer.lowercased()
        let known = Product.allCases.filter { $0.marks.contains(where: answer.contains) }
        let products = known.isEmpty ? Product.allCases : known
        return products.flatMap { product in [product.title] + make(product).map { "    \($0)" } }
    }
}
