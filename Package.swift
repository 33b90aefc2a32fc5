// swift-tools-version: 6.2
import PackageDescription

/// Every target of ours is held to the same bar: Swift 6 language mode, and a warning is an error.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

let byteBuffer = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let x509 = Target.Dependency.product(name: "X509", package: "swift-certificates")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")

let package = Package(
    name: "culvert",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "culvert", targets: ["culvert"]),
        .library(name: "NetworkAddress", targets: ["NetworkAddress"]),
        .library(name: "HTTP1", targets: ["HTTP1"]),
        .library(name: "WebSocket", targets: ["WebSocket"]),
        .library(name: "Mux", targets: ["Mux"]),
        .library(name: "ProxyConnect", targets: ["ProxyConnect"]),
        .library(name: "Tunnel", targets: ["Tunnel"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        .systemLibrary(name: "CZlib", path: "Sources/C/CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CGSSAPI", path: "Sources/C/CGSSAPI"),
        .target(name: "Platform", swiftSettings: strict),
        .target(name: "ByteText", swiftSettings: strict),
        .target(name: "NetworkAddress", dependencies: ["ByteText"], swiftSettings: strict),
        .target(name: "Secrets", dependencies: [crypto], swiftSettings: strict),
        .target(name: "Seal", dependencies: ["ByteText", byteBuffer, crypto], swiftSettings: strict),
        .target(name: "HTTP1", dependencies: [byteBuffer], swiftSettings: strict),
        .target(name: "ClientHello", dependencies: ["NetworkAddress", byteBuffer], swiftSettings: strict),
        .target(
            name: "WebSocket",
            dependencies: ["ByteText", "CZlib", "HTTP1", byteBuffer, crypto],
            swiftSettings: strict
        ),
        .target(name: "Mux", dependencies: ["ByteText", "Seal", "Secrets", byteBuffer, crypto], swiftSettings: strict),
        .target(
            name: "ProxyConnect",
            dependencies: ["ByteText", "HTTP1", "NetworkAddress", byteBuffer, crypto],
            swiftSettings: strict
        ),
        .target(
            name: "HTTPRelay",
            dependencies: ["ByteText", "HTTP1", "NetworkAddress", "Secrets", byteBuffer, crypto],
            swiftSettings: strict
        ),
        .target(
            name: "TunnelCore",
            dependencies: [
                "ByteText", "HTTP1", "Mux", "NetworkAddress", "Platform", "Seal", "WebSocket", byteBuffer, crypto,
                logging,
                metrics,
                nioPosix, nioSSL, x509,
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "ACME",
            dependencies: [
                "ByteText", "HTTP1", "NetworkAddress", crypto, x509,
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ],
            swiftSettings: strict
        ),
        .target(name: "Cluster", dependencies: ["ByteText", "Mux", crypto], swiftSettings: strict),
        .target(
            name: "EtcdStore",
            dependencies: [
                "ByteText", "Cluster", "HTTP1", "NetworkAddress", "TunnelCore", byteBuffer, logging, nioPosix, nioSSL,
            ],
            swiftSettings: strict
        ),
        .target(
            name: "TunnelAdmin",
            dependencies: ["Mux", "HTTP1", "NetworkAddress", "TunnelCore", byteBuffer, logging, metrics, nioPosix],
            swiftSettings: strict
        ),
        .target(
            name: "TunnelServer",
            dependencies: [
                "ACME", "ByteText", "ClientHello", "Cluster", "HTTP1", "HTTPRelay", "Mux", "NetworkAddress", "Platform",
                "Seal", "TunnelAdmin", "TunnelCore", "WebSocket", byteBuffer, crypto, logging, metrics, nioPosix,
                nioSSL,
                .product(name: "NIOHTTP2", package: "swift-nio-http2"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "TunnelClient",
            dependencies: [
                "ByteText", "CGSSAPI", "HTTP1", "HTTPRelay", "Mux", "NetworkAddress", "Platform", "ProxyConnect",
                "Seal", "TunnelAdmin",
                "TunnelCore", "WebSocket", byteBuffer, crypto, logging, metrics, nioPosix, nioSSL, x509,
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Tunnel",
            dependencies: ["Seal", "TunnelAdmin", "TunnelClient", "TunnelCore", "TunnelServer"],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "websocket-echo-server",
            dependencies: ["HTTP1", "WebSocket", byteBuffer, nioPosix],
            path: "Sources/Examples/WebSocketEchoServer",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "publish-handler",
            dependencies: [
                "Mux", "ProxyConnect", "Tunnel", byteBuffer, logging, .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            path: "Sources/Examples/PublishHandler",
            swiftSettings: strict
        ),
        .target(name: "CMalloc", path: "Sources/C/CMalloc"),
        .target(name: "CProcess", path: "Sources/C/CProcess"),
        .executableTarget(
            name: "culvert",
            dependencies: [
                "ByteText", "Cluster", "CMalloc", "CProcess", "CSpawn", "EtcdStore", "HTTP1", "HTTPRelay", "Mux",
                "NetworkAddress", "Platform",
                "ProxyConnect", "Seal",
                "Tunnel", "TunnelAdmin", "TunnelClient", "TunnelCore", "TunnelServer", byteBuffer, crypto, metrics,
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "TOMLKit", package: "TOMLKit"),
            ],
            resources: [
                .embedInCode("Dashboard/Page/page.html"), .embedInCode("Dashboard/Page/style.css"),
                .embedInCode("Dashboard/Page/script.js"),
            ],
            // Small rather than fast: the data path lies in other targets.
            swiftSettings: strict + [.unsafeFlags(["-Osize"], .when(configuration: .release))]
        ),
        .executableTarget(
            name: "websocket-echo",
            dependencies: [
                "HTTP1", "Platform", "WebSocket", byteBuffer,
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/Tools/WebSocketEcho",
            swiftSettings: strict
        ),
        .target(name: "CMallocCounter", path: "Sources/C/CMallocCounter"),
        .executableTarget(
            name: "culvert-microbench",
            dependencies: [
                "CMallocCounter", "CZlib", "Mux", "WebSocket", byteBuffer,
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOWebSocket", package: "swift-nio"),
            ],
            path: "Sources/Tools/MicroBench",
            swiftSettings: strict
        ),
        .target(name: "CSpawn", path: "Sources/C/CSpawn"),
        .target(
            name: "TestSupport",
            dependencies: ["CSpawn", "Platform", .target(name: "CNamespace", condition: .when(platforms: [.linux]))],
            path: "Tests/Support",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "culvert-soak",
            dependencies: ["TestSupport"],
            path: "Sources/Tools/Soak",
            swiftSettings: strict
        ),
        .systemLibrary(name: "CEpoll", path: "Sources/C/CEpoll"),
        .target(name: "CNamespace", path: "Sources/C/CNamespace"),
        .executableTarget(
            name: "culvert-bench",
            dependencies: [
                "CEpoll", "CNamespace", "TestSupport",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/Tools/Bench",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "culvert-package",
            path: "Sources/Tools/Package",
            exclude: ["Dockerfile", "Dockerfile.dockerignore", "check", "debian", "man", "package"],
            swiftSettings: strict
        ),
        .testTarget(name: "HouseTests", swiftSettings: strict),
        .testTarget(name: "ByteTextTests", dependencies: ["ByteText"], swiftSettings: strict),
        .testTarget(name: "NetworkAddressTests", dependencies: ["NetworkAddress"], swiftSettings: strict),
        .testTarget(name: "CZlibTests", dependencies: ["CZlib"], swiftSettings: strict),
        .testTarget(name: "HTTP1Tests", dependencies: ["HTTP1", "TestSupport", byteBuffer], swiftSettings: strict),
        .testTarget(
            name: "ClientHelloTests",
            dependencies: ["ClientHello", "NetworkAddress", "TestSupport", byteBuffer],
            swiftSettings: strict
        ),
        .testTarget(
            name: "HTTPRelayTests",
            dependencies: [
                "ByteText", "HTTP1", "HTTPRelay", "NetworkAddress", "Secrets", "TestSupport", byteBuffer, crypto,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "WebSocketTests",
            dependencies: ["HTTP1", "CZlib", "Platform", "WebSocket", "TestSupport", byteBuffer],
            swiftSettings: strict
        ),
        .testTarget(
            name: "MuxTests",
            dependencies: ["ByteText", "Mux", "Platform", "Secrets", "TestSupport", byteBuffer, crypto],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SealTests",
            dependencies: ["ByteText", "Seal", "TestSupport", byteBuffer, crypto],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ProxyConnectTests",
            dependencies: ["HTTP1", "ByteText", "NetworkAddress", "ProxyConnect", "TestSupport", byteBuffer],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ACMETests",
            dependencies: [
                "ACME", "HTTP1", "TestSupport", "TunnelCore", "TunnelServer", byteBuffer, crypto, nioPosix, nioSSL,
                x509,
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ClusterTests",
            dependencies: ["Cluster", "Mux", "Platform", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EtcdStoreTests",
            dependencies: [
                "ByteText", "Cluster", "EtcdStore", "HTTP1", "TestSupport", "TunnelCore", byteBuffer, logging, nioPosix,
                nioSSL,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TunnelTests",
            dependencies: [
                "ByteText", "Cluster", "HTTP1", "Mux", "NetworkAddress", "Platform", "ProxyConnect", "Seal",
                "TestSupport",
                "TunnelAdmin",
                "TunnelClient", "TunnelCore", "TunnelServer", "WebSocket", byteBuffer, crypto,
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "MetricsTestKit", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "HTTP1", "Mux", "ProxyConnect", "Seal", "TunnelAdmin", "TunnelClient", "TunnelCore", "TunnelServer",
                "culvert", "culvert-package", "NetworkAddress", "Platform", "TestSupport", "Tunnel",
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strict
        ),
        .testTarget(name: "BenchTests", dependencies: ["culvert-bench", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: ["Seal", "Tunnel", "culvert", "Platform", "TestSupport", crypto],
            swiftSettings: strict
        ),
    ]
)

// libFuzzer's runtime is not part of every toolchain, so its target is there only when asked for:
// CULVERT_FUZZ=1 swift build -c release --product websocket-fuzz
if Context.environment["CULVERT_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "websocket-fuzz",
            dependencies: ["WebSocket", byteBuffer],
            path: "Sources/Tools/WebSocketFuzz",
            swiftSettings: [.unsafeFlags(["-sanitize=fuzzer", "-parse-as-library"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer"])]
        )
    )
}
