//! Function URLs: their records, and the requests that come in at them.  [SRC-20, IAM-13]

use http::Request;
use http::request::Builder;
use sandbox::fake::Reply;
use serde_json::{Value, json};

use crate::harness::{ARN, Answer, Api, FUNCTIONS, REQUEST_ID, and};

const URLS: &str = "/2021-10-31/functions";
const FORBIDDEN: &str = "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";

/// A function that gives back its event as the body of its response.
async fn api() -> Api {
    let api = Api::with(|fake| {
        fake.answers(|call| {
            let event: Value = serde_json::from_slice(&call.payload).unwrap();
            let response = json!({"statusCode": 200, "body": event.to_string()});
            Reply::success(response.to_string())
        })
    });
    let api = api.await;
    api.active("f").await;
    api
}

async fn new_url(api: &Api, config: Value) -> String {
    let made = api.call("POST", &format!("{URLS}/f/url"), config).await;
    assert_eq!(made.status, 201, "{:?}", made.json());
    made.json()["FunctionUrl"].as_str().unwrap().to_owned()
}

fn host(url: &str) -> &str {
    url.strip_prefix("http://").unwrap().trim_end_matches('/')
}

/// Lets `principal` call through the URL, with one of the two permissions or with both.
async fn permit(api: &Api, principal: &str, auth: &str, actions: &[&str]) {
    for action in actions {
        let more = match *action {
            "lambda:InvokeFunction" => json!({"InvokedViaFunctionUrl": true}),
            _ => json!({"FunctionUrlAuthType": auth}),
        };
        let id = format!("{}{}", principal.len(), action.replace(':', "-"));
        let statement = json!({"StatementId": id, "Action": action, "Principal": principal});
        let path = format!("{FUNCTIONS}/f/policy");
        let added = api.call("POST", &path, and(statement, more)).await;
        assert_eq!(added.status, 201, "{:?}", added.json());
    }
}

const BOTH: &[&str] = &["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"];

async fn get(api: &Api, host: &str, request: Builder) -> Answer {
    api.send(request.header("host", host), "").await
}

#[tokio::test]
async fn a_configuration_lives_as_on_aws() {
    let api = api().await;
    let path = format!("{URLS}/f/url");
    let made = api
        .call("POST", &path, json!({"AuthType": "NONE"}))
        .await
        .json();
    let url = made["FunctionUrl"].as_str().unwrap().to_owned();
    let id = host(&url).split('.').next().unwrap();
    assert!(
        id.len() == 32
            && id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    );
    assert!(
        url.ends_with(".lambda-url.us-east-1.localhost:4566/"),
        "{url}"
    );
    let created = made["CreationTime"].clone();
    let expected = json!({"AuthType": "NONE", "CreationTime": created, "FunctionArn": format!("{ARN}:f"), "FunctionUrl": url});
    assert_eq!(made, expected);
    let again = api.call("POST", &path, json!({"AuthType": "NONE"})).await;
    let message = format!(
        "Failed to create function url config for [functionArn = {ARN}:f]. Error message:  FunctionUrlConfig exists for this Lambda function"
    );
    assert_eq!(
        again.error(),
        (409, "ResourceConflictException".to_owned(), message)
    );
    let shown = |more: Value| {
        and(
            and(expected.clone(), json!({"LastModifiedTime": created})),
            more,
        )
    };
    assert_eq!(
        api.get(&path).await.json(),
        shown(json!({"InvokeMode": "BUFFERED"}))
    );
    let updated = api
        .call("PUT", &path, json!({"AuthType": "AWS_IAM"}))
        .await
        .json();
    assert_eq!(updated, shown(json!({"AuthType": "AWS_IAM"})));
    let cors = json!({"AllowOrigins": ["*"], "MaxAge": 0});
    let change = json!({"InvokeMode": "RESPONSE_STREAM", "Cors": cors});
    let updated = api.call("PUT", &path, change.clone()).await.json();
    let more = and(change, json!({"AuthType": "AWS_IAM"}));
    assert_eq!(updated, shown(more.clone()));
    assert_eq!(api.call("PUT", &path, json!({})).await.json(), shown(more));
    let all = api.get(&format!("{URLS}/f/urls")).await.json();
    assert_eq!(all, json!({"FunctionUrlConfigs": [updated]}));
    let gone = api.call("DELETE", &path, Value::Null).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert_eq!(api.get(&path).await.status, 404);
}

#[tokio::test]
async fn configurations_of_aliases_are_their_own() {
    let api = api().await;
    api.call("POST", &format!("{FUNCTIONS}/f/versions"), json!({}))
        .await;
    api.call(
        "POST",
        &format!("{FUNCTIONS}/f/aliases"),
        json!({"Name": "a", "FunctionVersion": "1"}),
    )
    .await;
    let auth = json!({"AuthType": "NONE"});
    for path in ["f/url", "f:a/url?Qualifier=a"] {
        let made = api
            .call("POST", &format!("{URLS}/{path}"), auth.clone())
            .await;
        assert_eq!(made.status, 201, "{path} {:?}", made.json());
    }
    let page = api.get(&format!("{URLS}/f/urls?MaxItems=1")).await.json();
    let marker = page["NextMarker"].as_str().unwrap();
    let next = api
        .get(&format!("{URLS}/f/urls?MaxItems=1&Marker={marker}"))
        .await
        .json();
    let arn = |page: &Value| {
        page["FunctionUrlConfigs"][0]["FunctionArn"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        (arn(&page), arn(&next)),
        (format!("{ARN}:f"), format!("{ARN}:f:a"))
    );
    api.call("DELETE", &format!("{URLS}/f/url"), Value::Null)
        .await;
    assert_eq!(
        api.get(&format!("{URLS}/f/url?Qualifier=a")).await.status,
        200
    );
    api.call("DELETE", &format!("{FUNCTIONS}/f/aliases/a"), Value::Null)
        .await;
    assert_eq!(
        api.get(&format!("{URLS}/f/url?Qualifier=a")).await.status,
        404
    );
}

#[tokio::test]
async fn configurations_are_refused_as_aws_refuses_them() {
    let api = api().await;
    let auth = json!({"AuthType": "NONE"});
    let gone = (404, "ResourceNotFoundException", "Function does not exist");
    let none = (
        404,
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    );
    let differ = (
        400,
        "InvalidParameterValueException",
        "The derived qualifier from the function name does not match the specified qualifier.",
    );
    let number = "1 validation error detected: Value '1' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)";
    let latest = number.replace("'1'", "'$LATEST'");
    let mode = "1 validation error detected: Value 'UNKNOWN' at 'invokeMode' failed to satisfy constraint: Member must satisfy enum value set: [RESPONSE_STREAM, BUFFERED]";
    let method = "1 validation error detected: Value '[CONNECT]' at 'cors.allowMethods' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 6, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: .*]";
    let unset = "1 validation error detected: Value null at 'authType' failed to satisfy constraint: Member must not be null";
    let invalid = |text| (400, "ValidationException", text);
    let cases = [
        ("POST", "x/url", auth.clone(), gone),
        ("POST", "f/url?Qualifier=v1", auth.clone(), gone),
        ("POST", "f:a/url?Qualifier=b", auth.clone(), differ),
        ("POST", "f/url?Qualifier=1", auth.clone(), invalid(number)),
        (
            "POST",
            "f/url?Qualifier=$LATEST",
            auth.clone(),
            invalid(&latest),
        ),
        ("POST", "f/url", json!({}), invalid(unset)),
        (
            "POST",
            "f/url",
            and(auth.clone(), json!({"InvokeMode": "UNKNOWN"})),
            invalid(mode),
        ),
        (
            "POST",
            "f/url",
            and(auth.clone(), json!({"Cors": {"AllowMethods": ["CONNECT"]}})),
            invalid(method),
        ),
        ("GET", "x/url", Value::Null, none),
        ("GET", "f/url", Value::Null, none),
        ("GET", "f/url?Qualifier=1", Value::Null, invalid(number)),
        ("GET", "f:a/url?Qualifier=b", Value::Null, differ),
        ("DELETE", "x/url", Value::Null, none),
        ("DELETE", "f/url", Value::Null, none),
        ("DELETE", "f/url?Qualifier=v1", Value::Null, none),
        ("PUT", "x/url", auth.clone(), gone),
        ("PUT", "f/url?Qualifier=v1", auth.clone(), gone),
        ("PUT", "f/url", auth.clone(), none),
        ("GET", "x/urls", Value::Null, gone),
    ];
    for (method, path, body, (status, code, message)) in cases {
        let answer = api.call(method, &format!("{URLS}/{path}"), body).await;
        let expected = (status, code.to_owned(), message.to_owned());
        assert_eq!(answer.error(), expected, "{method} {path}");
    }
}

#[tokio::test]
async fn a_request_becomes_an_event() {
    let api = api().await;
    let url = new_url(&api, json!({"AuthType": "NONE"})).await;
    permit(&api, "*", "NONE", BOTH).await;
    let request = Request::post("/pa2%20th/1?q=a&m=b&m=%2Fc&empty")
        .header("host", host(&url))
        .header("User-Agent", "test/echo")
        .header("Extra", "With WeiRd CapS")
        .header("Extra", "twice")
        .header("Cookie", "a=1; b=2")
        .header("Content-Type", "application/json; charset=utf-8")
        .header(
            "X-Amzn-Trace-Id",
            "Root=1-00000001-000000000000000000000002",
        );
    let answer = api.send(request, "{\"foo\": \"bär\"}").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(answer.header("x-amzn-requestid"), Some(REQUEST_ID));
    let id = host(&url).split('.').next().unwrap();
    let domain = host(&url).strip_suffix(":4566").unwrap();
    let mut event = answer.json();
    let context = event["requestContext"].as_object_mut().unwrap();
    assert!(
        context
            .remove("time")
            .unwrap()
            .as_str()
            .unwrap()
            .ends_with(" +0000")
    );
    assert!(context.remove("timeEpoch").unwrap().is_i64());
    assert_eq!(
        event,
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/pa2%20th/1",
            "rawQueryString": "q=a&m=b&m=%2Fc&empty",
            "cookies": ["a=1", "b=2"],
            "headers": {
                "host": host(&url),
                "user-agent": "test/echo",
                "extra": "With WeiRd CapS,twice",
                "content-type": "application/json; charset=utf-8",
                "x-amzn-trace-id": "Root=1-00000001-000000000000000000000002",
                "x-forwarded-for": "127.0.0.1",
                "x-forwarded-port": "4566",
                "x-forwarded-proto": "http",
            },
            "queryStringParameters": {"q": "a", "m": "b,/c", "empty": ""},
            "requestContext": {
                "accountId": "anonymous",
                "apiId": id,
                "domainName": domain,
                "domainPrefix": id,
                "http": {
                    "method": "POST",
                    "path": "/pa2%20th/1",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": "test/echo",
                },
                "requestId": REQUEST_ID,
                "routeKey": "$default",
                "stage": "$default",
            },
            "body": "{\"foo\": \"bär\"}",
            "isBase64Encoded": false,
        })
    );
}

#[tokio::test]
async fn a_body_that_is_no_text_is_base64() {
    let api = api().await;
    let url = new_url(&api, json!({"AuthType": "NONE"})).await;
    permit(&api, "*", "NONE", BOTH).await;
    for (kind, body, expected) in [
        ("text/plain", "hi", json!(["hi", false])),
        ("application/xml", "<a/>", json!(["<a/>", false])),
        (
            "multipart/form-data; boundary=x",
            "hi",
            json!(["aGk=", true]),
        ),
        (
            "application/x-www-form-urlencoded",
            "hi",
            json!(["aGk=", true]),
        ),
        ("text/plain", "", json!([null, false])),
        ("image/png", "", json!([null, false])),
    ] {
        let request = Request::post("/")
            .header("host", host(&url))
            .header("content-type", kind);
        let event = api.send(request, body).await.json();
        assert_eq!(
            json!([event["body"], event["isBase64Encoded"]]),
            expected,
            "{kind} {body}"
        );
        assert!(event.get("cookies").is_none() && event.get("queryStringParameters").is_none());
    }
}

#[tokio::test]
async fn both_permissions_are_needed() {
    for permissions in [&BOTH[..1], &BOTH[1..], &[]] {
        let api = api().await;
        let url = new_url(&api, json!({"AuthType": "NONE"})).await;
        permit(&api, "*", "NONE", permissions).await;
        let refused = get(&api, host(&url), Request::get("/")).await;
        let expected = (
            403,
            "AccessDeniedException".to_owned(),
            FORBIDDEN.to_owned(),
        );
        assert_eq!(refused.error(), expected, "{permissions:?}");
        assert_eq!(refused.body, json!({"Message": FORBIDDEN}).to_string());
    }
    let api = api().await;
    let url = new_url(&api, json!({"AuthType": "NONE"})).await;
    permit(&api, "*", "AWS_IAM", BOTH).await;
    assert_eq!(get(&api, host(&url), Request::get("/")).await.status, 403);
}

fn signed(account: &str) -> Builder {
    let credential = format!(
        "AWS4-HMAC-SHA256 Credential={account}/19700101/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature={}",
        "0".repeat(64)
    );
    Request::get("/")
        .header("authorization", credential)
        .header("x-amz-date", "19700101T000000Z")
}

#[tokio::test]
async fn a_signature_tells_who_calls() {
    let api = api().await;
    let url = new_url(&api, json!({"AuthType": "AWS_IAM"})).await;
    let unsigned = get(&api, host(&url), Request::get("/")).await;
    assert_eq!(unsigned.error().2, FORBIDDEN);
    let event = get(&api, host(&url), signed("000000000000")).await.json();
    let context = &event["requestContext"];
    assert_eq!(context["accountId"], "000000000000");
    assert_eq!(
        context["authorizer"]["iam"],
        json!({
            "accessKey": "000000000000",
            "accountId": "000000000000",
            "callerId": "000000000000",
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": "arn:aws:iam::000000000000:root",
            "userId": "000000000000",
        })
    );
    // Another account needs the permissions of the function's policy.
    assert_eq!(
        get(&api, host(&url), signed("111111111111")).await.status,
        403
    );
    permit(&api, "111111111111", "AWS_IAM", &BOTH[..1]).await;
    assert_eq!(
        get(&api, host(&url), signed("111111111111")).await.status,
        403
    );
    permit(&api, "111111111111", "AWS_IAM", &BOTH[1..]).await;
    assert_eq!(
        get(&api, host(&url), signed("111111111111")).await.status,
        200
    );
    assert_eq!(
        get(&api, host(&url), signed("222222222222")).await.status,
        403
    );
}

#[tokio::test]
async fn hosts_are_found_by_their_first_labels() {
    let api = api().await;
    let url = new_url(&api, json!({"AuthType": "NONE"})).await;
    permit(&api, "*", "NONE", BOTH).await;
    let id = host(&url).split('.').next().unwrap().to_owned();
    for end in [
        "us-east-1.on.aws",
        "us-east-1.localhost:4566",
        "us-east-1.example.com:80",
    ] {
        let found = get(&api, &format!("{id}.lambda-url.{end}"), Request::get("/")).await;
        assert_eq!(found.status, 200, "{end}");
    }
    let other = "0123456789abcdefghijklmnopqrstuv";
    for host in [
        format!("{other}.lambda-url.us-east-1.on.aws"),
        format!("{id}.lambda-url.eu-west-1.on.aws"),
    ] {
        let unknown = get(&api, &host, Request::get("/")).await;
        let said = (
            unknown.status,
            &unknown.body[..],
            unknown.header("x-amzn-errortype"),
        );
        assert_eq!(
            said,
            (
                403,
                &br#"{"Message":null}"#[..],
                Some("AccessDeniedException")
            )
        );
        assert_eq!(unknown.header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_told_what_they_may() {
    let api = api().await;
    let cors = json!({
        "AllowOrigins": ["https://a.example", "http://*"],
        "AllowMethods": ["GET", "PUT"],
        "AllowHeaders": ["x-one", "x-two"],
        "ExposeHeaders": ["date"],
        "AllowCredentials": true,
        "MaxAge": 60,
    });
    let url = new_url(&api, json!({"AuthType": "NONE", "Cors": cors})).await;
    let ask = |method: &str, origin: &str| {
        Request::options("/")
            .header("origin", origin)
            .header("access-control-request-method", method)
    };
    let told = |answer: &Answer, name: &str| answer.header(name).map(str::to_owned);
    // Asked before there are permissions: the function is not called.
    let answer = get(&api, host(&url), ask("PUT", "https://a.example")).await;
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("access-control-allow-origin", "https://a.example"),
        ("access-control-allow-methods", "GET,PUT"),
        ("access-control-allow-headers", "x-one,x-two"),
        ("access-control-expose-headers", "date"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "60"),
        ("vary", "Origin"),
    ] {
        assert_eq!(told(&answer, name).as_deref(), Some(value), "{name}");
    }
    for (method, origin) in [
        ("PUT", "https://b.example"),
        ("DELETE", "https://a.example"),
    ] {
        let answer = get(&api, host(&url), ask(method, origin)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            told(&answer, "access-control-allow-methods"),
            None,
            "{method} {origin}"
        );
    }
    permit(&api, "*", "NONE", BOTH).await;
    let page = |origin: &str| Request::get("/").header("origin", origin);
    let answer = get(&api, host(&url), page("http://b.example")).await;
    assert_eq!(
        told(&answer, "access-control-allow-origin").as_deref(),
        Some("http://b.example")
    );
    assert_eq!(told(&answer, "access-control-allow-methods"), None);
    let answer = get(&api, host(&url), page("https://b.example")).await;
    assert_eq!(
        (answer.status, told(&answer, "access-control-allow-origin")),
        (200, None)
    );
    // Without CORS the function answers OPTIONS itself.
    api.call("PUT", &format!("{URLS}/f/url"), json!({"Cors": {}}))
        .await;
    let event = get(&api, host(&url), ask("PUT", "https://a.example"))
        .await
        .json();
    assert_eq!(event["requestContext"]["http"]["method"], "OPTIONS");
}

async fn answering(reply: impl Fn() -> Reply + Send + Sync + 'static, mode: &str) -> Answer {
    let api = Api::with(|fake| fake.answers(move |_| reply())).await;
    api.active("f").await;
    let url = new_url(&api, json!({"AuthType": "NONE", "InvokeMode": mode})).await;
    permit(&api, "*", "NONE", BOTH).await;
    get(&api, host(&url), Request::get("/")).await
}

#[tokio::test]
async fn a_failure_is_told_by_its_status() {
    let error = || Reply::error("Error", r#"{"errorType":"Error","errorMessage":"secret"}"#);
    for mode in ["BUFFERED", "RESPONSE_STREAM"] {
        let failed = answering(error, mode).await;
        assert_eq!(
            (failed.status, &failed.body[..]),
            (502, &b"Internal Server Error"[..]),
            "{mode}"
        );
    }
    let api = api().await;
    let url = new_url(&api, json!({"AuthType": "NONE"})).await;
    permit(&api, "*", "NONE", BOTH).await;
    let request = Request::post("/").header("host", host(&url));
    let long = api.send(request, vec![b'x'; 6_291_457]).await;
    assert_eq!(long.error().0, 413);
    // Base64 makes it too long for an event.
    let request = Request::post("/").header("host", host(&url));
    assert_eq!(api.send(request, vec![b'x'; 5_000_000]).await.status, 413);
    let none = json!({"ReservedConcurrentExecutions": 0});
    api.call("PUT", "/2017-10-31/functions/f/concurrency", none)
        .await;
    let throttled = get(&api, host(&url), Request::get("/")).await;
    assert_eq!(
        throttled.error(),
        (
            429,
            "TooManyRequestsException".to_owned(),
            "Rate Exceeded.".to_owned()
        )
    );
    assert_eq!(
        throttled.json()["Reason"],
        "ReservedFunctionConcurrentInvocationLimitExceeded"
    );
}

#[tokio::test]
async fn a_stream_may_begin_with_status_and_headers() {
    let http = Some("application/vnd.awslambda.http-integration-response");
    let whole: &'static [u8] = b"{\"statusCode\":201,\"headers\":{\"a\":\"b\",\"content-type\":\"text/html\"},\"cookies\":[\"c=1\"]}\0\0\0\0\0\0\0\0one";
    let (first, second) = whole.split_at(90);
    let reply = move || Reply::success("").streams(http, &[first, second, b"two"]);
    let answer = answering(reply, "RESPONSE_STREAM").await;
    assert_eq!((answer.status, &answer.body[..]), (201, &b"onetwo"[..]));
    let header = |name| answer.header(name);
    assert_eq!(
        (header("a"), header("content-type"), header("set-cookie")),
        (Some("b"), Some("text/html"), Some("c=1"))
    );
    let bad = || {
        Reply::success("").streams(
            Some("application/vnd.awslambda.http-integration-response"),
            &[b"no head"],
        )
    };
    assert_eq!(answering(bad, "RESPONSE_STREAM").await.status, 502);
}

#[tokio::test]
async fn a_stream_without_a_head_goes_out_as_it_is() {
    let streamed = || Reply::success("").streams(Some("text/plain"), &[b"one", b"two"]);
    let answer = answering(streamed, "RESPONSE_STREAM").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"onetwo"[..]));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    let whole = || Reply::success(r#"{"statusCode": 201, "body": "b"}"#);
    let answer = answering(whole, "RESPONSE_STREAM").await;
    assert_eq!(
        (answer.status, &answer.body[..]),
        (200, &br#"{"statusCode": 201, "body": "b"}"#[..])
    );
    // A buffered URL waits for the end of the stream.
    let answer = answering(streamed, "BUFFERED").await;
    assert_eq!(answer.status, 502, "{:?}", answer.body);
}
