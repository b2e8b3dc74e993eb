(globalThis.gridmemData ??= {})["site"] = {"ids": {"GridMem-9x9-v0": {"side": 11, "viewSize": 5, "maxSteps": 64, "digSteps": 0, "numSpawns": 26, "firstLevel": 2, "hasAgent": true}, "GridMem-13x13-v0": {"side": 15, "viewSize": 5, "maxSteps": 128, "digSteps": 0, "numSpawns": 34, "firstLevel": 13, "hasAgent": true}, "GridMem-20x20-v0": {"side": 22, "viewSize": 5, "maxSteps": 256, "digSteps": 0, "numSpawns": 42, "firstLevel": 8, "hasAgent": true}, "GridMem-v0": {"side": 42, "viewSize": 5, "maxSteps": 512, "digSteps": 0, "numSpawns": 28, "firstLevel": 11, "hasAgent": true}, "GridMem-Dig-v0": {"side": 42, "viewSize": 5, "maxSteps": 512, "digSteps": 5, "numSpawns": 30, "firstLevel": 22, "hasAgent": true}, "GridMem-DigLarge-v0": {"side": 82, "viewSize": 11, "maxSteps": 512, "digSteps": 5, "numSpawns": 17, "firstLevel": 66, "hasAgent": false}}, "sprites": "iBL{Q4GJ0x0000DNk~Le000310001Z2nGNE03CEJegFUwz)3_wRCt{2T~Fv#)fb<2iwGAH5kJhJRT7CU6c_dl!j=4rXk{(Joe*LxTZD^<__;{KO0ral2r8n)#K=O53L=UKL!uUfNVSS+(Qba8=l4wKojLdaeRJ--IR{Q}-aYU0&b@ce=X39y`A$x*{_@Q<*Drs6Vfx0a$Flw97Y}#G&p-K~bB+AJUiu>2A^-80j$}LJhvTQ`-tAl?|8G}*$acto>b2w94*B8u)x~q2YvjLj`O9pF{3nhb&34ES$BXCR>s%xM#00<uzy!bqAX@;Cyg7dU!?&skKuP{m0YLKRIOMM(044cL1pvvL<B-3G0F>k}6#yh}jzj($0#K6Q1i%C!=%1Z=y+{DwJpR8T0r2II5ddF)6M#YisPPC<O8|24r2<gn5u%m=<luA3j|42mhXi0~e5nA`c!a1W06BOQ022Tc022Tc026>T^27*04BkiJMc_>UOaM#(9ONw#fLOeXz>C700GI%n0C-l;oJW8ZyhPwd;$w(%=A##i1i*)nA@GoR695x{;I`TKDSRoO6L``1*wqqAM9EYGAG?ANg*O2(0m$|m_?mwQkb{pU@GB?w&#k02@Ua9Q3U2~n0$>6Vv2p@|z*7YvgbxvTXuJu434jSe#Olq-ld=Qw;bT_tA@L>vCIBV?nQq?#m;jgnm;fxd0Kk7V9e$Anf0GQZf!B5$zl~pW{FANQ9-fx?b4Sh=c}ecg_dTSVe+=W_v-f$`@t5Sc@t2RkSO7E~CO{Lf?KQ?<N&roKY5#5f56ugJHmOqZ(zT1kk74}0fKvOfi7)NHjb9LeWpZt@YP;<KYzI(%2jKD@YmXNd+z|Mb`wf8~!}wzh$kl&Md};q}{E-3x7s3r<i)~T(SON@%AH(=#3dq-gO?+wpZT#y3puLsO#UoA&KZfx`0hRP$6JOeY8-L^upk(zL5+6J8q3~lEf6NNv>%S(xwEs5#L;=Vx<e~7X1gMQ4!}wDQNb0{PzO?@~e)|@n_zx+T-B<lnaP9fm_MiZ?`000w0EF;RK<I0`_V&)Xk2PNM{%PW41i;>Ze|+V40NQUr3-OXU)Wp~NI{@wZHvv!-0GO0j_Ei@E?fKXCs7HX3H+V>V>?1&^fLc;yjd;oXr-_e!1hDtt9bfq!fc6{ELcC-SHSx6{0a|^3OaKNHfIIKny3)St0-!zr+CEvkXXCWQ@&B%~D4gZD{Fc97{+<AQeSBZgPw(F~ccWZ9@3`f+{FZ;Q`6n(gT<CMID26w@;g=6T;b7_FJv;86YkT(5`^DsA!AqD`!iRj-@O(bUg6|1HEZEh7G2wFvG$wowfyRuFA>cCNX9C~@#t>+1co%NW_z-67cwY^T74H>*k^&q9-gl2N<0T9y*O>7!J{EjX07?qb@XL*-_gOXkGVb7V@WDrbWqku{6oBuZW5<VzXv}!T<Pvb1@S*@{Z^1P2uA&Kj2s0LZXdcIm$GM}p6aiUA{6xBeYtksV<U^QN@gc|iuM%FG(^bMtBpMUG6M&fF@pZuP<Hm;y(D2KPPZj_K=N6#hmk-Y$omLI6J^w@EC-f%J7y{A6)D3TV!!IAc_hTS_q06NX<l^a%8B+25mryx)8^4WzmB(NFbKp`h{W+ud&oOQMHvVNE|HRD9%&c!4w@gJhe3b3DeKM8Y@R4?Xg%aKHNw$5{O;hlA#CoA0I)8c2CkM`iiO>iht`+YwaDFWGKi)qy=a-%c6QLD6Tr1sU==@mdhrauG&L=0I4iljfJX|Z@W9a<EfcVp&p6onM1bl_hT_QmPc<EZF5LC|ZD}3$}30lBQ*SdtDc7AW+bC*ca0A9M*DFn6i6Qkt6c52djSOf?GoLgWdSp<PZ;v@(_4&H}J6@b+IlmM<RFp?~WKoW6M1Rw|R!=ws8YJN%p=N1@A7C|79I0*ufgZE)l1t2;9x>53jp#b<rfEPa$`0j)APDw^dAdrWebRNP7o#A70Iz^x`KQDebKe}_?Daj}aB=S&`&O`W+b9_urmk5;RpDTVS@O``Iosx`_Kp;==y%)|y_@Fa<Oirf=l;(GkpY8y_&pzc60lNBQac2qu#?fxsaEEv<;YFcvv`GR0_omnJb1DL%{^tq+7I&@yV4TjEbS~i~(z@Ct0ig3Gol_AA^*>htX2qQ;02uGpn{Y1SMWJxCNdnNTH{qO$K&bzz0w9r}3xHb$2myN^cEvshaD2l8fFcm;e~tjq;!b%C;P{pW07W3w{~Q766?e*G0LM2h04M^X{-+3li~KGDm=^*5{G71^-~{PSc!U5@99%QIZk@<DnKcB!+kYx@{Cdau`SWwm4uBJc&R2{8P#n$|w$b^kAppMoROI;euJO-3KWFR!I6+bcfZ}HLx8ByPzX}52?LQSce!XM-Jpo`oi~!(kj{tbxgO3sb2@h?VD|nFbJkIi`3IM+L34qUi_!t3@@X(gKf`<st<2-+|0N`tn0C?Slj}ib04{ez%c#!Zs&hxK}04F;qJ^Fv{*!tf|&l(bdY<z72NXXxk0OaCp3qVT#mINRhUt0iD@_R&p5+C9~ess40&=pX6{x2ag6_c8HY#&+xg#5l0P<s9^Autt_ns{s<S^%W{-W5=K{x2ag6_c8HY#&+xr2HNc2$MgB1QPjL!pDlh0QqA`AQpc^_*fAbB7YPKe8t}aK2`*V$WM%lKpgqOT-$!fqrlva6!G2bM11Y>ySDwVM}d~`@H!RGr?0gC&TYTrQJ^J!_c{?jSAV7bXNDp`$?v;<o<w}>&x)VlP!m5pPrwf`eo6wq_2<Rk5+2V}@Y4L1_P<90zV&Ct-x7Xyo`4tYub}^uMU%hRiS>e~TL!7UHN5LOseQ=tW5IJgZ*L9nx=w2M&0lH%vEb+CpS8D!cU>p7`{u8t|7K=pD`q#}y8UE{i#Of2>E5a2v7K6V{B2tvm`ZN=ID2sChN<L+pSP+4fQ5eT!jE(Q?ZLN$L}&#M*Gl&oIzJZrJ3s$D=Z~HJJxGLB@NlhkkD>Epq5t#O={f)N>ROOUt>EEW=^jJmuO<M#!sjlLpar~itxE`M=l2ypcZmco;H7I_LQp%uukg7`Bx(UKUF#BpTKNYN0M`~6NftvOi8v_&kc0POQUxG2KP7-`3ydU-A&^9z6amP=`!J~jkeZ(oz_kTNlEn~6B2J0`<ludnQ~`+1Uqt|T@x%GyM-I$6B^f1wL>_9=c?chJj*rRd5`ohEy!hdK`!gr!oRW-^Kq3z{={$rFImgH3bcsM|eqQ`={^p6zb52P{Ng$Djnsgq*hn(YMa=JvIB!6`Qz~aso0F0x-k0_*b2``b>)g}o5{q>b}PDLQp|6BpU;?5NSjMMp&&LzA=T34GS0Cc{jb1DL%{^tq+7I&@yV4TjEbS~i~(z@Ct0ig3Gol_AA^<PB*XmO`J25@}K0)QeA>VJ*^(Be*c4B+^d1pq}L)c+g-pv9f?7{Ku@3jm5hsQ(KW0AAdwI{;1)I^i(_Kymo<OKhV*$E+a$zWh|=`1P*w^XKQB9RMc?Cp<rQ;pzNg8=b!z0^rL}MUG$Z8b5!2&e;KQf}{!n#o>Hm8=b!z0^rL}MUG!DjbB9o@U>3>eD1@?2!Mo#w%ipwM0g(O`BMb|U;6~W=RSOl07!Uf%U!`kgy(UdKUDzmwNC(i?!(6jfP{y(oE6;Ff4<vs^?!5%kc+P^04e!f5`bKMZ2?Hh-;x02;%f^)Z2mz6fUbbj^M46}shHHnWBbqoAm#V1fYS4S34y7Y)Wl=^&;lUk_pN}^^M46}shHHnWBbqo!1GuAJAj<xZwVhO0z>4FA%Rr<E#YHDV2J!NB#_A05<XT0YUZyh0MfSK^(er9k)(--*Qt2^29);Swe5F33bcfW*Qt0uf2I9*ZTnr10xjX;bt<0EUvB<t0>DYcxBk5N`2=d>@jM03-+&tZrzGH8e_s48;qg2LFU?<R|0xOh)}I%DOL#m_!AtX(lfRk(P!iB0r{r=Ke+zimbyB;OyH@|P;5nYRw}y9JC$;<LueASI@Ep(ETf@7qliGdrmzuv=0IvS>&D7<WzrQej<JDtMfBD73-SP8JKFG%Zdg%+N1OE6+N1P6LIDUHW-E91CSAK9h;7`4F-06Ua<5w5YW#g}0{?h4yKXL4+(*Y01i|60V#=DBqY(*?206=b+pa1Z!C;{-{LjnNgb~)f<1i*(62>_7W<$#Y703SXi06=b+13pFoe0c5pGgG#Z0L1JNVg$ey4+%ib4k1PWTyaj?&(6HwBXB6r1t2vZ5`dT;LW}^o;@b6RrfenvGPxxIkm8i!IdKyJGgUJI=o8$x1CZjJ;Hhzmm}fqE!7BhXE)hH>u3dj-%4P!K{|q4JL&BKP09<j2+^?M2?-T$Y=LAoUYuBHdvY7z1B>?saV75?$A}DeADhWPK&W&4s-Td11XQpghw>>=d`Ey6kdfkWJeBVPw_(kO3v-kO;{673L<kzl0Gi3`Au*9JNOX7>jA0l8$JaqpS@@v<hnX+Lq>{xr;TWC3PO2C}>BJv|aT=y@Dhwk4(e(m}*Q#K!|O5Jt<wgWJ0+;Da9ktH{dZN7Nu8Fgp}g80T)5=R2IJbvx^GgCHcwXC(Br){n{5CnZ~*It!#-}p-6bOmm8{Mz+rrfk0LWvRz*!CMdjmoMTGzy!cd&9nvJ&bzj%y0!plk6*j~%#>~Io{dwV!(Z&>#0<Y2c<uT#Q#LGyuaEER{Pg}^o%3R`_&DR*^=GDRSR7awdv@I29iM&l{$BAcB91YwIQ3PDYuBHdvb9D)O##x5Ys|lP{h2A-suQ4<IL2J_GgMr={>+q3+9E=6__mN^jsrn7<BJ}@cKw+t8x{#I3|c%EA9q~4{>+q(7fPy!zGf=@8q4wzn_s*B%v!OHTc$m4EWYFR$&`9)@d>P^)LV;Rx9yv5nu1F)vsJe1ggbQpa_5r+XKpwpVTCxh&#p_r1L6L7|4`?bo|tq_NmwI}?RZ@Z9td~nyN^4coP7F*QxaB)WBcs76#V1{`KLcUIlXpjVj^HhY@K{F;!$5;jWG^Jk38<eOW2tR1n@{cBp!8KjWG^Jk38<eOIQ?v5FW`lBOdkj)fnU5*vXN{U3dvQ6M+zZ@-O+pKmbex%>Ff8op&GXJ0mdoEgSCW9VLQG0wH3B`?~}H$aZvR-#LN7;okHp5nK`o2`k;-B>)}S_U-OFBQSV3c5;*mE(wH)749zy03|=}0Km^aWg=h(mLLGW6`m4X5{O)UiU9alcuH(ZAae030^nQWDX}Gi$i>sGKPA5jfY}YJBmhIjYYD(m@mc~fSbTEh5kMlp?_a7lTO|V$asl8U;wi>~Xj}mJhjg0pj%Zu}_=k9!@yWj;VB|NOv#uDf6K?izkFURODGr3gIKFNv4uqTafBkhUaWwoI(8zB#XWKU2JEh)Q{I)F*OsTgPe{ko9DfL$3H{ZJbq|f<%%vR8VaMv#U*!i~y-|n1}utpr)@wyZ|5bm9y|L**;v%hyvNmwI}?RZ@Z9tii(U#C0&^XgjXl!P_n*pAo5;!Oa|yoTgM;!(%d7~^2{$m1@&ghdeu;gNhuJnFa_V;qbgdEAAUuqXl{JdzKIM;%vVjDyi5kGt>^7DXV0Hvus78WQyIBL{lU2@DQjFVUk!a7iE}taN{u007yxKXbC@oWS64Z+esnE(wH$mG18n03h3&CpPz-6Br!sO^*`6C4rEz()~>U%#tld0DLPvCAK6Gx%d<T@U8Ha*pfix;!^~`x586mO9GLLHvus7S}g$>Dqc$fhKkn`fT7|h0A@i0qHzJ>AJS>YfoNO+_=j|waUdEO0RADJR@?-@ENJk(Fc1#EN5<DJ#er}b$JZ^zfp8ed*Db_N0L*;$f8i4gwlK!^IRF3v07*qoM6N<$f&", "font": "00961015zr00RIZPg5^4MF2rk0003f0001BV{Kt@01N=p0006^0000qXKZ<9bRQXq0009-001W*Xk}q!VF^Q=000220000sXlP|&1>OPn0002w0000aXl-<O0$2b50004q0002OY;R*>(9*{v0007j0002OZDDwD0C509000390000WZeeX@Pd8@D001gv0001BaBp*TWl5+B001h)0007c0096100961RXHy@Uk^O>009KB000000000000000000000093u0rUdA0000300IC200000009611L*%a000750001F0rUU?00000000000000000001009610AK(>01yBG000020000000000000000000000RP80gwO%00aO40000000000000000000000000000000000000000009610000000000002KfKR*Bf03ZN<1L*%a000000000000000000000000003ZMW0$2b500000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000002000030000K00RI40000K00aOa0000400aO50001f|Nj6003iSW|KR`u000000000i04xAc0CoVs0Qdnr0f_;g0muRI0x1GX0$u`Z0(SzT0`mhM15X2p1Hc3G1S<qp1e^rc1m^_;1uX?Y1!@JB1>puQ26G0h2KNUc2TBK!2jK_{2s;Rg2(bwg32q6y3Gxa^3X%%H3g-(s3y2Hp3^)vP44(|h4Dk&c4LuD>4POn44ag1Y4k->&4tx&24*?G+4_ptN55*7}5K|C|5XTV*5i${05r7f95%Us85`GfJ66X^U6F3uL6ORA@00#g70005>0=xhN00#gI01p5Y02cro000vq6(J)t6(c1x6(cb-6(b`v6(b`v6(bch6(eK;EdJDFWMl!5WMpJyWMpJyWMpJy0=#5oWMpJyWMpIj00sca0003j0=xhN00#gI01p5Y02crN6EhVfF*6k-F*6k-F*6k-F*6k-6*Cnh$Yf+>WMpJyWMpJyWCFZoWMpJyWMlva0AvA>0gwW`00RIA01E&Q022Tg000v+6(ct@6(b`v6(ct@6(b`v6(ct@6(eM1WXNP>$Yf;5WMs%>WXNP>0=#5oWMpJyWMpIj01N;C0005>0=xhN00#gI01p5Y02cro03QG&04D$|051Rl6EhVfH!~F@BQq5vH!~F@At4nZGcy$<H!~F@At4nZGcy$<H!~F@BQq5vH!~F@WMpK>WMs%>WXNP>{?q~V{tRSfWXNP>{?q~V{tRSfWXNP>$Yf;5WMl%oWMpJyWMpJyWMpJyWMpJyWB>pO000000rUdA00RIA01E&Q022Tg02=@w03!eZ6EhVfBOw(bBQq5vH!~F@BOw(bGcy$<H!~F@At4nZGcy$<$Yf+>0g(Q1WMpK>WMpIkEdJDFWMs%>Wd3jgkp6JUWMl%oWMpJyWMpJyWMpIj01E&B0005>0=xhN00#gI01p5Y02cro03QG&04D$|000p)6(c1x6(b=t6(c1x6(b`v6(b`v6(b`v6(b`v6(c1x6(b=t6(c1x6(h*V0gz;5{&2|10gz;5WMpJyWMpJyWMpJy0W8SK{?ue-0W8SK0=#5oWMpJyWMpJyWMpJyWB>pS000000rUdA00RIA01E&Q022Tg02=@w03!e=04o4505bpp6EhVfBQq5vB{LNxAu|;tH!~F@BQq5vBQq5vH!~F@H!~F@Au|;tB{LNxBQq5vB{LNxWXQ;5WMly>WMux-WMs%>WMpJyWMpK>WMs%>Wd3kuWC1K>WXQ<K0W4%>0=#5oWMpJyWMpJyWMpJyWMpJyWB>pI0LTH50W1Q%00RIA01E&B6EhVfF*6k-F*6k-$Yf+>WMpIlykul#00#hM0004y0=xhN00#gI01p5Y02cro0003q6(b`v6(b`v6(cb-6(cb-6(ch<6(ch<6(a#GWMpJyWMpJyWMpJyWMpJyWMl%oWMpJyWMpIj00#hM0004y0=xhN00#gI01p5Y02cro000v+6(ch<6(ch<6(cb-6(cb-6(b`v6(b`v6(eM1WMpJyWMpJyWMpJyWMpJyWCFZoWMpJyWMlvd0001F0rUb`00RIA01E&Q022Tg02=@w03!eZ6EhVfBQq5vH!~F@H!~F@At4nZBQq5vH!~F@H!~F@BQq5v$Yf;5WMs%>WXNP>{?q|1{?ue-WXNP>$Yf;5WMl$ZWMpJyWMpJyWMpJyWB>pK0001F0rUb`00RIA01E&Q022TJ6EhVfF*6k-BOw(bGcy$<F*6k-$Yf+>WXJ*Z{tU=uWMpIlSY%{mWMlvX0A&B10W1K>00RIA01E&BH!~F@F*6k-BQq5v$Yf+>WMpJy$Yf+>009610W1OZ0gwO#000po6(Iri{tN+-WB>pG0LTCU0W1Jy00RI3H!~F@$Yf+>WB>pM000000rUdA00RIA01E&Q022Tg02=@R0W%dNF*6k-BQq5vBQq5vBQq5vBQq5vF*6k-0gz;5WMpJyWMpJyWMpJyWMpJy0=#5oWMpJyWB>pS000000rUdA00RIA01E&Q022Tg02=@w03!e=04o4505bpp6Co8LBQq5vB{LNxAu|;tB{LNxAu|;tH!~F@H!~F@Au|;tB{LNxAu|;tB{LNxAt4nZWC1Mx)MR920gz;5{%~Yu0W8SK{?ue-$Yf;5WMuwu$jAYZWMuwuWMl!5WMux-0WAL10=#5oWMpJyWMpJyWMpJyWMpJyWB>pM0Av6F0gwW`00RIA01E&Q022Tg02=@R6EhVfBQq5vGcy$<F*6k-F*6k-F*6k-BOw(b$Yf+>$jD@5WMpJyWMpJy0WAL10=#5oWMpJyWB>pN000000rUdA00RIA01E&Q022Tg02=@w000vq6(J)t6(c1x6(cb-6(b`v6(b`v6(b`v6(b`d6(M8+EdJDFWMl!5WMpJyWMpJyWMpJyWMl#K{tN=VWMpJyWMpJyWB>pO000000rUdA00RIA01E&Q022Tg02=@w03!eZ6Co8LBQq5vB{LNxF*6k-BQq5vGcy$<Au|;tB{LNxAt4nZWC1Mx)MR920gz;5WMs(5$jD@5{%~Yu0gz;5{?q|1{?r1zWMpJyWMpJyWMpIj00{s90005>0=xhN00#gI01p5Y02cro03QG&0003q6(b`v6(b`v6(ct@6(b=t6(c1x6(b=b6(J!r6(cb-6(a#GWMpK>$Yf+>$Yf;x)MR7<EM#Q<)B*JV3;`@;WMpIlykul#WMpJyWMpJy00;m80005>0=xhN00#gI01p5Y02cro03QGV5g`>JF*6k-F(DNpAu|;tF*6k-Au|;tB{LNxAt4nZ0rdV1WMl!5{%`@1WMpJy{%~Yu0gz;5{?q|1{?r1zWMpJyWMpJyWB>pO000000rUdA00RIA01E&Q022Tg02=@w03!eZ6EhVfBQq5vBQq5vF(DNpF*6k-B{LNxAu|;tB{LNxAt4nZ$jHcKWMpJyWC4)=aAafwkYr^3aAafwkYr^3)B!C1)B?O@WMpJyWMpJyWMlvb000000rUdA00RIA01E&Q022Tg02=@R5g`>JAu|;tBQq5vBQq5vF*6k-BQq5vF*6k-0rdV10gz;5WMpJyWMpJyWMpJyWCFZoWMpJyWMlvf000000rUdA00RIA01E&Q022Tg02=@w03!e=04o3h6Co8LBQq5vB{LNxAu|;tB{LNxAt4nZBQq5vB{LNxAu|;tB{LNxAt4nZWC1Mx)MR920gz;5{%~Yu0gz;5{?q|1{?ue-WC4(5Wd3kuWC4(5Wd76vEdJC2ykul#WMpJyWMpJyWMpJy00{s90005>0=xhN00#gI01p5Y02cro03QG&000vq6(J)t6(c1x6(b=t6(c1x6(b=b6(J!r6(b`v6(b`v6(eK;EdJDFWMl!5WMuwuWMl!5WMux-0g(Q10W4%>WMpK>$jAb`WMpJyWMpJyWMpIj00IEW0Av9y0rUU^00#g76EhVf6*Cnh$Yf+>WC8SK$YcNn0A&B10W1OZ00RIA01E&Q000v+6(bch6(cb-6(b`v6(h)GWMpJyWMpJy0rX_ZWMpIj00#g70004y0=xhN00#gI01p5Y02cro0003q6(b`v6(b`v6(b`v6(ch<6(ch<6(ch<6(a#GWMpJyWMpJyWMpJyWMpJyWMpJy0=#5oWMpJyWB>pH0002U0rUa%00RIA000po6(JQN6(Iri{tN;1{tN;1WMpIj00#hM0005>0=xhN00#gI01p5Y02cro000v+6(ch<6(ch<6(ch<6(b`v6(b`v6(b`v6(eM1WMpJyWMpJyWMpJyWMpJyWMpIlykul#WMpJy00#g70005>0=xhN00#gI01p5Y02cro000vq6(J)t6(c1x6(cb-6(b`v6(b`v6(bch6(eK;EdJDFWMl!5WMpJyWMpJyWMpJy0=#5oWMpJyWMpIj01N;C0005>0=xhN00#gI01p5Y02cro03QG&04D$|051Rl6Co8LBQq5vB{LNxAu|;tHz5@vBQq5vH!~F@H!~F@Au|;tHz5@vBQq5vGa(frWC1Mx)MR920gz;5{%~Yu$N?<=)W~FH$Yf;5WMuwuWMs$zEdJEUWMpIkkp6H2ykul#WMpJyWMpJyWMpJyWMlvg000000rUdA00RIA01E&Q022Tg02=@w03!e=04o45000vq6(J)t6(c1x6(b=t6(c1x6(b=b6(KP*6(c1x6(b=t6(c1x6(b=t6(c1x6(eK;EdJDFWMl!5WMuwuWMl!5WMuwu0rdV1WMl!5WMuwuWMl!5WMuwuWMl!5WMl%oWMpJyWMpJyWMpJyWMpJyWB>pQ000000rUdA00RIA01E&Q022Tg02=@w03!e=04o3h5g`>JF*6k-B{LNxAu|;tB{LNxAt4nZF*6k-B{LNxAu|;tB{LNxAt4nZ0g(Q1WMl!5WMuwuWMl!5WMuwu0g(Q1WMl!5WMuwuWMl!5WMuwu0g(Q10=#5oWMpJyWMpJyWMpJyWB>pO000000rUdA00RIA01E&Q022Tg02=@w03!eZ6Co8LBQq5vB{LNxAu|;tF*6k-F*6k-F*6k-B{LNxAt4nZWC1Mx)MR920gz;5{%~YuWMpJyWMl!5WMux-0WAL10=#5oWMpJyWMpJyWB>pR000000rUdA00RIA01E&Q022Tg02=@w03!e=04o45000po6(KP*6(c1x6(b=t6(c1x6(b=t6(c1x6(b=t6(c1x6(b=t6(c1x6(b=b6(IqT{%~Yu0gz;5{%~Yu0gz;5{%~Yu0gz;5{%~Yu0gz;5{%~Yu0gz;5{%`@1{%``kWMpJyWMpJyWMpJyWMpJyWB>pM000000rUdA00RIA01E&Q022Tg02=@R5g`>JF*6k-F*6k-F(DNpF*6k-F*6k-F(DNp0rdV1WMpJy0g(Q1WMpJy0rdV10=#5oWMpJyWB>pM000000rUdA00RIA01E&Q022Tg02=@R5g`>JF*6k-F*6k-F(DNpF*6k-F*6k-F*6k-0rdV1WMpJy0g(Q1WMpJyWMl%oWMpJyWMpIj01E&B0005>0=xhN00#gI01p5Y02cro03QG&04D$|000vq6(J)t6(c1x6(b=t6(cb-6(ctx6(J)t6(c1x6(b=t6(c1x6(b=b6(M8+EdJDFWMl!5WMuwuWMpJy$N?<=)W~FH0gz;5{%~Yu0gz;5{?q}G{%``kWMpJyWMpJyWMpJyWMpIj01W^D0005>0=xhN00#gI01p5Y02cro03QG&04D$|051SD000p)6(c1x6(b=t6(c1x6(b=t6(c1x6(b=b6(KP*6(c1x6(b=t6(c1x6(b=t6(c1x6(eM10gz;5{%~Yu0gz;5{%~Yu0gz;5{%`^G{tRSf0gz;5{%~Yu0gz;5{%~Yu0gz;50=#5oWMpJyWMpJyWMpJyWMpJyWB>pM0Av6F0gwW`00RIA01E&Q022Tg02=@R6Co8LGcy$<F*6k-F*6k-F*6k-F*6k-BOw(bWC1Mx)MR92WMpJyWMpJyWC1Mx)B?O@WMpJyWMlvc000000rUdA00RIA01E&Q022Tg02=@w000vq6(KV-6(cb-6(cb-6(cb-6(b=t6(c1x6(b`v6(h(2EdJDFWMpJyWMpJy{?ue-0W4%>$jHb7ykul#WMpJyWMlvh000000rUdA00RIA01E&Q022Tg02=@w03!e=04o4505bpp5i=DdB{LNxAu|;tB{LNxAu|;tH!~F@BQq5vF*6k-H!~F@BQq5vB{LNxAu|;tB{LNxWMl!5WMuwuWMly>WMux-WMs%>WXQ<KWMs%>WXNP>0W4%>{?ue-0gz;50=#5oWMpJyWMpJyWMpJyWMpJyWB>pM000000rUdA00RIA01E&Q022Tg02=@R5i=DdF*6k-F*6k-F*6k-F*6k-F*6k-F(DNpWMpJyWMpJyWMpJy0rdV10=#5oWMpJyWB>pV000000rUdA00RIA01E&Q022Tg02=@w03!e=04o4505bqL06PFb000p)6(c1x6(b=t6(c1x6(b=t6(ct@6(ct@6(b=t6(ct@6(ct@6(b=t6(c1x6(b=t6(c1x6(b=t6(c1x6(eM10gz;5{&2|10W8SK{?ue-$Yf;5WMuwuWMs%>WXNP>{%~Yu0gz;5{%~Yu0gz;5{%~Yu0gz;50=#5oWMpJyWMpJyWMpJyWMpJyWMpJyWMpIj01p5F0005>0=xhN00#gI01p5Y02cro03QG&04D$|051SD05<?T000p)6(c1x6(b=t6(c1x6(b=t6(c1x6(b=t6(ct@6(ct@6(b=t6(c1x6(b=t6(c1x6(b=t6(c1x6(eM10gz;5{&2|10gz;5{&2|10gz;5{%~Yu$Yf;5WMuwuWMly>$jJWGWMly>$jJWGWMl!5WMl%oWMpJyWMpJyWMpJyWMpJyWMpJyWMpIj01N;C0005>0=xhN00#gI01p5Y02cro03QG&04D$|051Rl6Co8LBQq5vB{LNxAu|;tB{LNxAu|;tB{LNxAu|;tB{LNxAu|;tB{LNxAt4nZWC1Mx)MR920gz;5{%~Yu0gz;5{%~Yu0gz;5{%~Yu0gz;5{%~Yu0gz;5{?q|1{?r1zWMpJyWMpJyWMpJyWMpJyWB>pO000000rUdA00RIA01E&Q022Tg02=@w03!eZ5g`>JF*6k-B{LNxAu|;tB{LNxAt4nZF*6k-F*6k-F*6k-0g(Q1WMl!5WMuwuWMl!5WMuwu0g(Q1WMpJyWMl%oWMpJyWMpJyWMpIj01f~E0005>0=xhN00#gI01p5Y02cro03QG&04D$|051SD05<>t6Co8LBQq5vB{LNxAu|;tB{LNxAu|;tB{LNxAu|;tH!~F@H!~F@Au|;tB{LNxBQq5vB{LNxWC1Mx)MR920gz;5{%~Yu0gz;5{%~Yu0gz;5{%~Yu$Yf;5WMuwuWMly>WMs(5$N?;5WCFZoWMpJyWMpJyWMpJyWMpJyWMpJy01N;C0005>0=xhN00#gI01p5Y02cro03QG&04D$|051Rl5g`>JF*6k-B{LNxAu|;tB{LNxAt4nZF*6k-H!~F@BQq5vB{LNxAu|;tB{LNx0g(Q1WMl!5WMuwuWMl!5WMuwu0g(Q1WMs%>WXNP>0W4%>{?ue-0gz;50=#5oWMpJyWMpJyWMpJyWMpIj00#g70005>0=xhN00#gI01p5Y02cro000vq6(J)t6(cb-6(cht6(J!r6(cb-6(b=b6(M8+kp6IFWMpJyWC1Mx)B!AHWMpLiZ~>71a00w!WMpJyWMlvb000000rUdA00RIA01E&Q022Tg02=@R5g`>JGcy$<F*6k-F*6k-F*6k-F*6k-F*6k-0rdV1$Yf+>WMpJyWMpJyWCFZoWMpJyWMlvh000000rUdA00RIA01E&Q022Tg02=@w03!e=04o4505bpp5i=DdB{LNxAu|;tB{LNxAu|;tB{LNxAu|;tB{LNxAu|;tB{LNxAu|;tB{LNxAt4nZWMl!5WMuwuWMl!5WMuwuWMl!5WMuwuWMl!5WMuwuWMl!5WMuwuWMl!5WMux-0WAL10=#5oWMpJyWMpJyWMpJyWMpJyWB>pS000000rUdA00RIA01E&Q022Tg02=@w03!e=04o4505bpp5i=DdB{LNxAu|;tB{LNxAu|;tB{LNxAu|;tB{LNxAu|;tH!~F@BQq5vH!~F@BQq5vWMl!5WMuwuWMl!5WMuwuWMl!5WMuwuWMl!5WMux-WMs%>WXNP>$Yf+>WMl%oWMpJyWMpJyWMpJyWMpJyWMpIj01yBG0005>0=xhN00#gI01p5Y02cro03QG&04D$|051SD05<?T06zc#5i=DdB{LNxAu|;tB{LNxAu|;tB{LNxAu|;tH!~F@H!~F@Au|;tH!~F@H!~F@Au|;tB{LNxAu|;tB{LNxWMl!5WMuwuWMl!5WMuwuWMl!5WMuwuWMs%>WXNP>{%~Yu$Yf;5WMuwu$jAXK$jJWGWMl!5WMl%oWMpJyWMpJyWMpJyWMpJyWMpJyWMpJyWB>pS000000rUdA00RIA01E&Q022Tg02=@w03!e=04o4505bpp5i=DdB{LNxAu|;tB{LNxAu|;tH!~F@BQq5vBQq5vH!~F@Au|;tB{LNxAu|;tB{LNxWMl!5WMuwuWMl!5WMux-WMs%>WMpJyWMpK>WMux-WMl!5WMuwuWMl!5WMl%oWMpJyWMpJyWMpJyWMpJyWMpIj015yA0005>0=xhN00#gI01p5Y02cro03QG&04D$d5i=DdB{LNxAu|;tB{LNxAu|;tH!~F@BQq5vF*6k-F*6k-F*6k-WMl!5WMuwuWMl!5WMux-WMs%>WMpJyWMpJyWMl%oWMpJyWMpJyWMpJyWB>pM000000rUdA00RIA01E&Q022Tg02=@R5g`>JAu|;tBQq5vBQq5vBQq5vBQq5vF(DNp0rdV10gz;5WMpJyWMpJyWMpJy0rdV10=#5oWMpJyWB>pM0Av6F0gwW`00RIA01E&Q022Tg02=@R6Co8LF*6k-F*6k-F*6k-F*6k-F*6k-F(DNpWC1Mx)MR92WMpJyWMpIkEdJC2ykul#WMpJy00#g70005>0=xhN00#gI01p5Y02cro000p)6(cb-6(ch<6(ch<6(ch<6(ch<6(cb-6(eM1WMpJyWMpJyWMpJyWMpJy0=#5oWMpJyWB>pM0Av6F0gwW`00RIA01E&Q022Tg02=@R6Co8LGcy$<F*6k-F*6k-F*6k-F*6k-BOw(bWC1Mx)W~FHWMpJyWMpJy$N?<=)B?O@WMpJyWMlvZ0004y0rUdA00RIA01E&Q022TJ6EhVfBQq5vH!~F@Au|;tB{LNx$Yf+>WMs%>Wd77-WC4(5WCFZoWMpJyWMlvV0094-0rUU>00RI3F(DNp0rdV1WB>pI0AvA>0gwW`00RIA01E&B6EhVfGcy$<Gcy$<WMpJyWMpJyWCFZoWMlva000000rUa%00RIA01E&Q022Tg000vq6(J!r6(b=b6(J)t6(c1x6(b=b6(M8+EdJC1EM#Q<)B%wGaAag;0gz;5{?q}G{%`^GWMpJyWMpIj015yA0005>0=xhN00#gI01p5Y02cro03QG&04D$d5i=DdF*6k-F(DNpF*6k-B{LNxAu|;tB{LNxAu|;tB{LNxAt4nZWMpJy0g(Q1WMl!5WMuwuWMl!5WMuwuWMl!5WMuwu0g(Q10=#5oWMpJyWMpJyWMpIj00jU50005>0rUU^00#gI01p5Y000vq6(J)t6(cb-6(cb-6(cht6(M8+kp6IFWMpJyWMpIkkp6H1^kigYWMlve000000rUdA00RIA01E&Q022Tg02=@w03!e=0003q6(cb-6(b=b6(J)t6(c1x6(b=t6(c1x6(b=t6(c1x6(b=b6(IqTWMpJy{?q}G{%~YuWC4(5Wd3kuWC4(5Wd3kuWC4(5Wd76vkp6H2ykul#WMpJyWMpJyWMlva000000rUa%00RIA01E&Q022Tg000vq6(J)t6(c1x6(b=b6(KP*6(cht6(M8+EdJDFWMl!5WMuwu0rdV1WMpIkkp6H1^kigYWMpJy00#g70004y0=xhN00#gI01p5Y02cro000v+6(b`v6(b`d6(KV-6(cb-6(cb-6(cb-6(h*V$Yf+>WC4)=aAag;WMpJyWMl%oWMpJyWMpIj015yA|2P5k0rUU^00#gI01p5Y02cro03QG&04D$d6Co8LBQq5vB{LNxAu|;tB{LNxAu|;tB{LNxAt4nZAu|;tAt4nZWC4)=aAag;0gz;5{%~Yu0gz;5{%~Yu0gz;5{?q}G{%`>-WMux-0WAL10rX^KWMpJyWMpJyWMpIj01E&B0005>0=xhN00#gI01p5Y02cro03QG&04D$|000p)6(cb-6(cbr6(KP*6(c1x6(b=t6(c1x6(b=t6(c1x6(b=t6(c1x6(eM1WMl!5{%~Yu0gz;5{%~Yu0gz;5{%~Yu0gz;5{%~Yu0gz;50=#5oWMpJyWMpJyWMpJyWB>pL0Av6F0gwW`00RIA01E&Q022Tg000v+6(a{T6(ch<6(cb-6(cb-6(b`d6(PuEWMs(5WMpJyWMpJy0WAL10=#5oWMpJyWB>pO0093u0gwW`00RIA01E&Q022Tg02=@w03!eZ0W%dN2Qw8TGcy$<F*6k-F*6k-F*6k-Au|;tB{LNxBQq5v0W4%>WXQ;5WMpJyWMpJy{?ue-0W4%>$jHb7ykul#WMpJyWMpJy01E&B0004y0=xhN00#gI01p5Y02cro03QG&04D$|000p)6(cb-6(cb-6(c1x6(b=t6(ct@6(b`v6(cb-6(ct@6(b`v6(c1x6(eM1WMpJy0W4%>{?ue-$Yf;5$jD@5$Yf;5WMly>WMl%oWMpJyWMpJyWMpJyWMpIj00#hM0004y0=xhN00#gI01p5Y02cro000v+6(ch<6(cb-6(cb-6(cb-6(cb-6(b`d6(MBE$Yf+>WMpJyWMpJyWC1Mx)B?O@WMpJyWMlvi000000rUa%00RIA01E&Q022Tg02=@w03!e=04o4505bqL000p)6(c1x6(b=t6(ct@6(ct@6(b=t6(ct@6(ct@6(b=t6(ct@6(ct@6(b=t6(ct@6(ct@6(h*V0W4%>{?ue-$Yf;5WMuwuWMs%>WXNP>{%~Yu$Yf;5WMuwuWMs%>WXNP>0rX^KWMpJyWMpJyWMpJyWMpJyWMpJyWB>pO000000rUa%00RIA01E&Q022Tg02=@w03!eZ5g`>JF*6k-B{LNxAu|;tB{LNxAu|;tB{LNxAu|;tB{LNx0g(Q1WMl!5WMuwuWMl!5WMuwuWMl!5WMuwuWMl!5WMl#KWMpJyWMpJyWMpJyWB>pN000000rUa%00RIA01E&Q022Tg02=@w000vq6(J)t6(c1x6(b=t6(c1x6(b=t6(c1x6(b=b6(M8+EdJDFWMl!5WMuwuWMl!5WMuwuWMl!5WMux-0WAL10rX^KWMpJyWMpJyWB>pP0093u0rUa%00RIA01E&Q022Tg02=@w03!e=000po6(KP*6(c1x6(b=t6(c1x6(b=t6(c1x6(b=b6(KP*6(cb-6(a$V{%~Yu0gz;5{%~Yu0gz;5{%~Yu0gz;5{%`@1{%~YuWMl#KWMpJyWMpJyWMpJyWB>pP0093u0rUa%00RIA01E&Q022Tg02=@w03!e=000vq6(J)t6(c1x6(b=t6(c1x6(b=t6(c1x6(b=b6(J!r6(cb-6(eK;kp6IFWMl!5WMuwuWMl!5WMuwuWMl!5WMux-0g(Q10W4%>WMl#KWMpJyWMpJyWMpJyWB>pM000000rUa%00RIA01E&Q022Tg02=@R5i=DdH!~F@BQq5vB{LNxAu|;tF*6k-F*6k-WMs(5$jHdZ0gz;5{%~YuWMpJy0rX^KWMpJyWMpIj00jU50005>0rUU^00#gI01p5Y000vq6(J)t6(cht6(J!r6(b=b6(M8+kp6IFWMpIkEdJC1EM#Q<Z~>71Z~^pWWMpJy00#g70004y0=xhN00#gI01p5Y02cro000v+6(cb-6(b`d6(KV-6(cb-6(cb-6(ch<6(eM1WMpJy0g(Q1WMpJyWMpJy$jAb`WMpJyWMpIj00{s90005>0rUU^00#gI01p5Y02cro03QG&000p)6(c1x6(b=t6(c1x6(b=t6(c1x6(b=t6(c1x6(b=b6(M9~0gz;5{%~Yu0gz;5{%~Yu0gz;5{%~Yu0gz;5{?q}G{%`^GWMpJyWMpJyWMpJyWB>pO000000rUa%00RIA01E&Q022Tg02=@w03!eZ5i=DdB{LNxAu|;tB{LNxAu|;tH!~F@BQq5vH!~F@BQq5vWMl!5WMuwuWMl!5WMux-WMs%>WXNP>$Yf+>WMl#KWMpJyWMpJyWMpJyWB>pT000000rUa%00RIA01E&Q022Tg02=@w03!e=04o4505bqL000p)6(ct@6(ct@6(b=t6(ct@6(ct@6(b=t6(ct@6(ct@6(b=t6(ct@6(ct@6(b=t6(ct@6(eM1$Yf;5WMuwuWMs%>WXNP>{%~Yu$Yf;5WMuwuWMs%>WXNP>{?ue-$Yf*z^kigYWMpJyWMpJyWMpJyWMpJyWMpJy00{s90005>0rUU^00#gI01p5Y02cro03QG&000p)6(c1x6(b=t6(ct@6(b`v6(b`v6(ct@6(b=t6(c1x6(eM10gz;5{?ue-$Yf+>WMpJyWXNP>{?ue-0gz;50rX^KWMpJyWMpJyWMpIj01E&B|2P5k0rUU^00#gI01p5Y02cro03QG&04D$|000p)6(c1x6(b=t6(c1x6(b=t6(c1x6(b=t6(c1x6(b=b6(J!r6(b=b6(M9~0gz;5{%~Yu0gz;5{%~Yu0gz;5{%~Yu0gz;5{?q}G{%`>-WMux-0WAL10rX^KWMpJyWMpJyWMpJyWB>pK000000rUa%00RIA01E&Q022TJ5g`>JAu|;tBQq5vBQq5vBOw(b0rdV10W4%>WMpJyWMpIk^!^M1^kigYWMlvb0Av6F0rUdA00RIA01E&Q022Tg02=@R0W%dNBQq5vF*6k-BQq5vGcy$<F*6k-Gcy$<0W8SKWMpJyWMpJyWMpJyWMs(50=#5oWMpJyWB>pM0LTCU0W1Q%00RIA01E&Q022Tg02=@R6EhVfF*6k-F*6k-F*6k-F*6k-F*6k-F*6k-$Yf+>WMpJyWMpJyWMpIlykul#WMpJy00#g70004y0=xhN00#gI01p5Y02cro000p)6(ch<6(cb-6(ch<6(b`v6(cb-6(b`v6(h*V$Yf+>WMpJyWMpJyWXQ<K0=#5oWMpJyWB>pM0002U0rUa%00RIA01E&Q022Tg02=@R6EhVfB{LNxAu|;tH!~F@H!~F@Au|;tB{LNxWMpIkEM#Q<aAai2WMs%>Wd3kuWC1K>WC8SKWMpJyWMpJyWMlvU0000405$*t0000000968000010000000IC900#gA009IE0096F01f~H009IE00ICG031hhX=F`hZBk`tb!=gB07n3F0BHbZ08Id80BrzL0A&DY0CfOt0AT=f00IC2000000000000001000000000000000000000AK(B0RjO70R#aB0R{mF0SEyJ0SW;N0So~R0S*BV0T2NZ0TKZd0Tclh0Tuxl0T=-p0U7}t0UQAx0UiM#0U!Y(0U`k-0VDw>0VV+_0Vn|}0V)A20W1M60WJYA0WbkE0WtwI0W<+M0X6|Q0XP9U0XhLY0XzXc0X_jg0YCvk0YU*o0Ym{s0Y(8w0Z0K!0ZIW&0Zai+0Zsu=0Z;)^0a5`|0aO810agK50ayW90a^iD0bBuH0bT)L0bm1TGcp5XGcyBYGc*HZGc^NaGd2TbGdBZcGdKfdGdTleG%y2WG%*8XG%^EYG&2KZG&BQaG&KWbG&TccG&cidG&loeG&uufH82BXH8BHYH8KNZH8TTaH8cZbH8lfcH8uldH8%reH8=xfH8}%gHZTKYHZcQZHZlWaHZucbHZ%icHZ=odHZ}ueHa7!fHaG)gHaP=hH!uTZH!%ZaH!=fbH!}lcH#7rdH#GxeH#P%fH#Y-gH#h@hH#q}iI4}caI57ibI5GocI5PudI5Y!eI5h)fI5q=gI5z`hI5-1iI5`7jIWPlbIWYrcIWhxdIWq%eIWz-fIW+@gIW_}hIX44iIXDAjIXMJlF)%O$V=*u>1Y<EUG6Z8WFf#;WF)%a)V=*u_1Y<EUHUwiaFgFBaF)%m;V=*u}1Y<EVFa%>UF);*VF)=a(V=*x^1Y<EVGz4QYF*O8ZF)=m-V=*x|1Y<EVI0R!cF*yWdF)}a&V=*!@1Y<EWG6Z8WGBX5YF)}m+V=*!{1Y<EWHUIzs"};
(() => {
const bundle = {};

bundle.base85 = (() => {

const CHARACTERS =
  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
const DIGITS = new Map([...CHARACTERS].map((each, i) => [each.charCodeAt(0), i]));

function bytesOf(text) {
  const groups = new DataView(new ArrayBuffer(Math.ceil(text.length / 5) * 4));
  for (let group = 0; group * 4 < groups.byteLength; group++) {
    let value = 0;
    for (let i = group * 5; i < group * 5 + 5; i++) {
      const digit = i < text.length ? DIGITS.get(text.charCodeAt(i)) : 84;
      if (digit === undefined) throw new Error(`${text[i]} is no digit of base 85`);
      value = value * 85 + digit;
    }
    groups.setUint32(group * 4, value);
  }
  return new Uint8Array(groups.buffer, 0, Math.floor((text.length * 4) / 5));
}

return { bytesOf };
})();

bundle.dom = (() => {

function get(selector, type, inside = document) {
  const found = inside.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`);
  return found;
}

function tag(name, ...children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}

return { get, tag };
})();

bundle.rules = (() => {

const Tile = Object.freeze({ FLOOR: 0, WALL: 1, ROCK: 2, GOAL: 3, AGENT: 4 });

const NO_ACTION = 4;


const moves = (side) => [-side, 1, side, -1];

function start(rules, level) {
  return {
    rules,
    spawns: level.spawns,
    tiles: level.tiles.slice(),
    position: level.spawns[0],
    busy: 0,
    visits: 0,
    lastAction: NO_ACTION,
    lastReward: 0,
    time: 0,
  };
}

function step(state, action) {
  const { rules, tiles, position } = state;
  const offset = moves(rules.side)[action] ?? 0;
  const target = position + (state.busy === 0 ? offset : 0);
  const tile = tiles[target];
  const enters = target !== position && (tile === Tile.FLOOR || tile === Tile.GOAL);
  const digs = rules.digSteps > 0 && tile === Tile.ROCK;
  const finds = enters && tile === Tile.GOAL;
  if (enters) state.position = target;
  if (digs) tiles[target] = Tile.FLOOR;
  state.busy = digs ? rules.digSteps : Math.max(state.busy - 1, 0);
  if (finds) state.position = state.spawns[++state.visits];
  state.lastAction = offset ? action : NO_ACTION;
  state.lastReward = finds ? 1 : 0;
  state.time += 1;
}

const isOver = (state) => state.time >= state.rules.maxSteps;

function viewCells(state) {
  const { side, viewSize } = state.rules;
  const top = Math.floor(state.position / side) - (viewSize - 1) / 2;
  const left = (state.position % side) - (viewSize - 1) / 2;
  return Array.from({ length: viewSize * viewSize }, (_, i) => {
    const row = top + Math.floor(i / viewSize);
    const column = left + (i % viewSize);
    const inside = row >= 0 && row < side && column >= 0 && column < side;
    return inside ? row * side + column : -1;
  });
}

function view(state) {
  const tiles = viewCells(state).map((cell) => (cell < 0 ? Tile.WALL : state.tiles[cell]));
  tiles[(tiles.length - 1) / 2] = Tile.AGENT;
  return Uint8Array.from(tiles);
}

return { Tile, NO_ACTION, moves, start, step, isOver, viewCells, view };
})();

bundle.network = (() => {


const NUM_ACTIONS = 4;
const NUM_TILES = 5;

class Network {
  constructor({ config, tensors }) {
    if (config.model.mixer !== "attention") throw new Error(`the mixer ${config.model.mixer}`);
    this.config = config.model;
    this.tensors = tensors;
    this.forget();
  }

  forget() {
    this.memories = Array.from({ length: this.config.num_layers }, () => ({
      keys: [],
      values: [],
    }));
  }

  step(observation) {
    const x = this.#embed(observation);
    const time = this.memories[0].keys.length;
    const attention = new Float64Array(time + 1);
    this.memories.forEach((memory, layer) => {
      const name = `blocks.${layer}`;
      add(
        x,
        this.#attend(norm(x, this.tensors[`${name}.mixer_norm.scale`]), memory, name, attention),
      );
      add(x, this.#feedForward(norm(x, this.tensors[`${name}.ff_norm.scale`]), name));
    });
    const features = norm(x, this.tensors["final_norm.scale"]);
    return { logits: this.#logits(features), value: this.#value(features), attention };
  }

  #embed({ view, lastAction, lastReward }) {
    const { width } = this.config;
    const x = new Float64Array(width);
    const rowOf = (matrix, row) => matrix.subarray(row * width, (row + 1) * width);
    for (const [cell, tile] of view.entries()) {
      add(x, rowOf(this.tensors.view, cell * NUM_TILES + tile));
    }
    add(x, rowOf(this.tensors.action, lastAction));
    add(
      x,
      this.tensors.reward.map((weight) => weight * lastReward),
    );
    return x;
  }

  #attend(x, memory, name, attention) {
    const { num_heads, num_kv_heads, head_dim, num_layers } = this.config;
    const time = memory.keys.length;
    const [query, key, value] = ["query", "key", "value"].map((part) =>
      product(x, this.tensors[`${name}.mixer.${part}`]),
    );
    this.#normAndRotate(query, time, this.tensors[`${name}.mixer.query_norm.scale`]);
    this.#normAndRotate(key, time, this.tensors[`${name}.mixer.key_norm.scale`]);
    memory.keys.push(key);
    memory.values.push(value);
    const first = Math.max(0, time + 1 - (this.config.window ?? Number.POSITIVE_INFINITY));
    const attended = new Float64Array(num_heads * head_dim);
    for (let head = 0; head < num_heads; head++) {
      const at = head * head_dim;
      const keyAt = Math.floor((head * num_kv_heads) / num_heads) * head_dim;
      const scores = memory.keys.slice(first).map((key) => {
        let score = 0;
        for (let i = 0; i < head_dim; i++) score += query[at + i] * key[keyAt + i];
        return score / Math.sqrt(head_dim);
      });
      softmax(scores).forEach((weight, slot) => {
        const seen = memory.values[first + slot];
        for (let i = 0; i < head_dim; i++) attended[at + i] += weight * seen[keyAt + i];
        attention[first + slot] += weight / (num_heads * num_layers);
      });
    }
    return product(attended, this.tensors[`${name}.mixer.out`]);
  }

  #normAndRotate(heads, position, scale) {
    const { head_dim, rope_base } = this.config;
    const half = head_dim / 2;
    for (let at = 0; at < heads.length; at += head_dim) {
      const head = heads.subarray(at, at + head_dim);
      if (scale) head.set(norm(head, scale));
      for (let i = 0; i < half; i++) {
        const angle = position * rope_base ** (-i / half);
        const [cos, sin, first, second] = [
          Math.cos(angle),
          Math.sin(angle),
          head[i],
          head[i + half],
        ];
        head[i] = first * cos - second * sin;
        head[i + half] = second * cos + first * sin;
      }
    }
  }

  #feedForward(x, name) {
    const up = product(x, this.tensors[`${name}.ff.up`]);
    const hidden = product(x, this.tensors[`${name}.ff.gate`]).map((gate, i) => gelu(gate) * up[i]);
    return product(hidden, this.tensors[`${name}.ff.down`]);
  }

  #logits(features) {
    return Float64Array.from({ length: NUM_ACTIONS }, (_, action) =>
      features.reduce(
        (sum, x, i) => sum + x * this.tensors.action[action * features.length + i],
        0,
      ),
    );
  }

  #value(features) {
    const { value_head, value_bins, value_min, value_max } = this.config;
    const bias = this.tensors.value_bias;
    const hidden = product(features, this.tensors.value_in).map((x, i) => gelu(x + bias[i]));
    const outputs = product(hidden, this.tensors.value_out);
    if (value_head === "mse") return outputs[0];
    const binWidth = (value_max - value_min) / value_bins;
    return softmax([...outputs]).reduce(
      (sum, weight, bin) => sum + weight * (value_min + (bin + 0.5) * binWidth),
      0,
    );
  }
}

const argmax = (numbers) => numbers.indexOf(Math.max(...numbers));

function product(x, matrix) {
  const columns = matrix.length / x.length;
  const y = new Float64Array(columns);
  for (let row = 0, at = 0; row < x.length; row++) {
    const factor = x[row];
    for (let column = 0; column < columns; column++, at++) y[column] += factor * matrix[at];
  }
  return y;
}

function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
}

function norm(x, scale) {
  const meanSquare = x.reduce((sum, each) => sum + each * each, 0) / x.length;
  return x.map((each, i) => (each * scale[i]) / Math.sqrt(meanSquare + 1e-6));
}

function gelu(x) {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

function softmax(scores) {
  const largest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

return { Network, argmax };
})();

bundle.safetensors = (() => {


const READERS = { F32: readFloat32, F16: readFloat16, I8: readInt8 };
const BYTES = { F32: 4, F16: 2, I8: 1 };
const SCALE = "/scale";

function readWeights(bytes) {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const begin = 8 + Number(data.getBigUint64(0, true));
  const { __metadata__: metadata, ...header } = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, begin)),
  );
  if (metadata?.format !== "gridmem-agent-1") throw new Error("no agent of GridMem");
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    const [first, end] = data_offsets;
    const type = /** @type {keyof typeof READERS} */ (dtype);
    const length = shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    if (!READERS[type] || end - first !== length * BYTES[type]) throw new Error(`bad ${name}`);
    tensors[name] = Float32Array.from({ length }, (_, i) =>
      READERS[type](data, begin + first + i * BYTES[type]),
    );
    if (!tensors[name].every(Number.isFinite)) throw new Error(`${name} is not finite`);
  }
  for (const name of Object.keys(tensors).filter((each) => header[each].dtype === "I8")) {
    const [columns, scale] = [header[name].shape.at(-1), tensors[name + SCALE]];
    if (scale?.length !== columns) throw new Error(`bad ${name}${SCALE}`);
    tensors[name] = tensors[name].map((each, i) => each * scale[i % columns]);
    delete tensors[name + SCALE];
  }
  return { config: JSON.parse(metadata.config), tensors };
}

function readFloat32(data, at) {
  return data.getFloat32(at, true);
}

function readInt8(data, at) {
  return data.getInt8(at);
}

function readFloat16(data, at) {
  const bits = data.getUint16(at, true);
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

return { readWeights };
})();

bundle.results = (() => {

const KEY = "gridmem-results-1";


const COLUMNS = /** @type {const} */ ([
  ["date", "date"],
  ["id", "id"],
  ["level", "level"],
  ["attempt", "attempt"],
  ["others_hidden", "othersHidden"],
  ["map_hidden", "mapHidden"],
  ["max_steps", "maxSteps"],
  ["finds", "finds"],
  ["agent_finds", "agentFinds"],
  ["oracle_finds", "oracleFinds"],
  ["trips", "trips"],
]);

class Results {
  rows = [];
  starts = {}; // episodes begun, by id and level
  problem = ""; // a sentence, if results cannot be read or kept
  #isUnsaved = false; // whether they are here only
  #unreadable = null; // what is stored, if it cannot be read

  constructor() {
    this.#read();
  }

  begin(id, level) {
    this.#read();
    const name = `${id} ${level}`;
    this.starts[name] = (this.starts[name] ?? 0) + 1;
    this.#write();
    return this.starts[name];
  }

  add(row) {
    this.#read();
    this.rows.push(row);
    this.#write();
  }

  clear() {
    this.#read();
    this.rows = [];
    this.#write();
  }

  csv() {
    const lines = this.rows.map((row) =>
      COLUMNS.map(([, key]) => (key === "trips" ? row.trips.join(" ") : row[key])).join(","),
    );
    return `${[COLUMNS.map(([name]) => name).join(","), ...lines].join("\n")}\n`;
  }

  #read() {
    if (this.#isUnsaved) return;
    let text = null;
    try {
      text = localStorage.getItem(KEY);
      if (text === null) return;
      const { rows, starts } = JSON.parse(text);
      if (!rows.every((/** @type {Result} */ row) => Array.isArray(row.trips))) throw new Error();
      [this.rows, this.starts] = [rows, { ...starts }];
      this.#unreadable = null;
    } catch {
      this.#unreadable = text;
      this.problem = "Earlier results in this browser cannot be read.";
    }
  }

  #write() {
    try {
      if (this.#unreadable !== null) {
        localStorage.setItem(`${KEY}-unreadable-${Date.now()}`, this.#unreadable);
        this.#unreadable = null;
      }
      localStorage.setItem(KEY, JSON.stringify({ rows: this.rows, starts: this.starts }));
      if (this.#isUnsaved) this.problem = "";
      this.#isUnsaved = false;
    } catch {
      this.#isUnsaved = true;
      this.problem = "This browser does not keep results; export them before you leave.";
    }
  }
}

return { Results };
})();

bundle.files = (() => {

const { bytesOf } = bundle.base85;

class Problem extends Error {}

const data = () => /** @type {any} */ (globalThis).gridmemData;

const site = data().site;

async function read(name, reader) {
  await run(`data/${name}.js`);
  try {
    return reader(bytesOf(data()[name]));
  } catch (cause) {
    throw new Problem(`The file data/${name}.js is damaged; get the folder of this page again.`, {
      cause,
    });
  }
}

function run(path) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = path;
    script.onload = () => resolve();
    script.onerror = () =>
      reject(new Problem(`The file ${path} is missing; get the folder of this page again.`));
    document.head.append(script);
  });
}

return { Problem, site, read };
})();

bundle.draw = (() => {

const { Tile } = bundle.rules;

const DOWN = 2;
const [LARGE, SMALL] = [16, 8]; // sides of a tile in the two parts of the picture, one below the other
const ART_ROWS = 5;
const PLAIN = ["#e4dcca", "#343951", "#a07048"]; // grounds that are too small for art
const FOG = "rgb(14 22 58 / 62%)";
const [COLD, HOT] = [
  [250, 150, 170],
  [206, 16, 90],
];
const VARIANTS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 3]; // how often each look occurs
const [PIECES, FACINGS] = [3, 5]; // the row of the players and the goal; pictures of each player

const GOAL_COLUMN = 15;

const playerColumn = (colour, facing = DOWN) => colour * FACINGS + facing;


class Picture {
  #width = 0; // none as long as the parent is not shown
  #scene = null;

  constructor(canvas, sprites) {
    this.canvas = canvas;
    this.sprites = sprites;
    const observer = new ResizeObserver(([{ contentRect }]) => {
      this.#width = contentRect.width;
      this.#draw();
    });
    observer.observe(/** @type {Element} */ (canvas.parentElement));
  }

  show(scene) {
    this.#scene = scene;
    this.#draw();
  }

  #draw() {
    if (!this.#scene || !this.#width) return;
    const side = Math.sqrt(this.#scene.tiles.length);
    const px = pixelsFor((this.#width * globalThis.devicePixelRatio) / side);
    if (this.canvas.width !== side * px) this.canvas.width = this.canvas.height = side * px;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.clearRect(0, 0, side * px, side * px);
    draw(context, this.sprites, px, this.#scene);
  }
}

function draw(context, sprites, px, scene) {
  const side = Math.sqrt(scene.tiles.length);
  const size = Math.max(px, SMALL); // of pieces, which stay visible on small maps
  const put = stamp(context, sprites, size);
  const putPiece = (cell, column) => {
    const [x, y] = [(cell % side) * px, Math.floor(cell / side) * px];
    put(x - (size - px) / 2, y - (size - px) / 2, PIECES, column);
  };
  const isShown = Array.from(scene.tiles, (_, i) => !scene.seen || Boolean(scene.seen[i]));
  const isSolid = (row, column) => {
    const cell = clamp(row, side) * side + clamp(column, side); // the edge is continued
    const known = isShown[cell] || scene.isRevealed;
    return known ? scene.tiles[cell] === Tile.WALL || scene.tiles[cell] === Tile.ROCK : false;
  };
  for (let cell = 0; cell < scene.tiles.length; cell++) {
    if (!isShown[cell] && !scene.isRevealed) continue;
    const [row, column] = [Math.floor(cell / side), cell % side];
    const at = /** @type {const} */ ([column * px, row * px]);
    const tile = scene.tiles[cell] > Tile.ROCK ? Tile.FLOOR : scene.tiles[cell];
    const variant = scene.isVaried ? variantAt(row, column) : 0;
    if (px < SMALL) fill(context, ...at, px, PLAIN[tile]);
    else put(...at, tile, groundColumn(tile, row, column, variant, isSolid));
    const heat = scene.heat?.[cell] ?? 0;
    if (heat > 0) fill(context, ...at, px, heatColour(heat));
    if (!isShown[cell]) fill(context, ...at, px, FOG);
  }
  const goal = Array.from(scene.tiles).indexOf(Tile.GOAL);
  if (goal >= 0 && (isShown[goal] || scene.isRevealed)) putPiece(goal, GOAL_COLUMN);
  putPiece(scene.cell, playerColumn(scene.colour, scene.facing));
  if (scene.outlined) outline(context, scene, scene.outlined, px);
}

function drawPiece(canvas, sprites, column) {
  canvas.width = canvas.height = 32;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  stamp(context, sprites, 32)(0, 0, PIECES, column);
}

function pixelsFor(pixels) {
  if (pixels < SMALL) return Math.max(Math.ceil(pixels), 1);
  const n = artSize(pixels);
  return Math.ceil(pixels / n) * n;
}

const artSize = (px) => (px >= (LARGE + SMALL) / 2 ? LARGE : SMALL);

function stamp(context, sprites, px) {
  const n = artSize(px);
  const top = n === LARGE ? 0 : ART_ROWS * LARGE;
  context.imageSmoothingEnabled = false;
  return (x, y, row, column) =>
    context.drawImage(sprites, column * n, top + row * n, n, n, x, y, px, px);
}

function groundColumn(tile, row, column, variant, isSolid) {
  const up = isSolid(row - 1, column) ? 1 : 0;
  const right = isSolid(row, column + 1) ? 1 : 0;
  const down = isSolid(row + 1, column) ? 1 : 0;
  const left = isSolid(row, column - 1) ? 1 : 0;
  if (tile === Tile.WALL) return 15 - (up + 2 * right + 4 * down + 8 * left);
  if (tile === Tile.ROCK) return 4 * variant + 3 - (up + 2 * down);
  return 4 * variant + up + 2 * left;
}

function variantAt(row, column) {
  const sum = (Math.imul(row, 0x9e3779b1) + Math.imul(column, 0x85ebca77)) >>> 0;
  return VARIANTS[Math.imul(sum ^ (sum >>> 15), 0xc2b2ae3d) >>> 28];
}

function heatColour(heat) {
  const [red, green, blue] = COLD.map((cold, i) => cold * (1 - heat) + HOT[i] * heat);
  return `rgb(${red} ${green} ${blue} / ${85 * heat ** 0.75}%)`;
}

function outline(context, scene, cells, px) {
  const side = Math.sqrt(scene.tiles.length);
  const line = Math.max(Math.floor(px / 8), 1);
  const left = ((scene.cell % side) - (cells - 1) / 2) * px;
  const top = (Math.floor(scene.cell / side) - (cells - 1) / 2) * px;
  context.lineWidth = line;
  for (const [margin, colour] of /** @type {const} */ ([
    [1.5 * line, "#10121c"],
    [0.5 * line, "#fff"],
  ])) {
    const size = cells * px + 2 * margin;
    context.strokeStyle = colour;
    context.strokeRect(left - margin, top - margin, size, size);
  }
}

function fill(context, x, y, px, colour) {
  context.fillStyle = colour;
  context.fillRect(x, y, px, px);
}

const clamp = (index, length) => Math.min(Math.max(index, 0), length - 1);

return { GOAL_COLUMN, playerColumn, Picture, drawPiece };
})();

bundle.levels = (() => {

const { Tile } = bundle.rules;

function readLevels(bytes, { side, digSteps, numSpawns }) {
  const inner = side - 2;
  const bitBytes = Math.ceil((inner * inner) / 8);
  const size = 2 + bitBytes + 2 * (1 + numSpawns);
  if (!bytes.length || bytes.length % size) throw new Error(`${bytes.length} bytes`);
  const levels = new Map();
  for (let at = 0; at < bytes.length; at += size) {
    const tiles = new Uint8Array(side * side).fill(Tile.WALL);
    for (let i = 0; i < inner * inner; i++) {
      const solid = (bytes[at + 2 + (i >> 3)] >> (7 - (i & 7))) & 1;
      const cell = (Math.floor(i / inner) + 1) * side + (i % inner) + 1;
      if (!solid) tiles[cell] = Tile.FLOOR;
      else if (digSteps) tiles[cell] = Tile.ROCK;
    }
    const pairs = bytes.subarray(at + 2 + bitBytes, at + size);
    const [goal, ...spawns] = Array.from(
      { length: 1 + numSpawns },
      (_, i) => pairs[2 * i] * side + pairs[2 * i + 1],
    );
    if ([goal, ...spawns].some((cell) => tiles[cell] !== Tile.FLOOR) || spawns.includes(goal)) {
      throw new Error("a goal or a start is no cell of the floor");
    }
    tiles[goal] = Tile.GOAL;
    levels.set(bytes[at] + 256 * bytes[at + 1], { tiles, spawns });
  }
  return levels;
}

return { readLevels };
})();

bundle.oracle = (() => {

const { moves, NO_ACTION, Tile } = bundle.rules;

const UNREACHABLE = 2 ** 29;

function entryCost(tile, digSteps) {
  if (tile === Tile.FLOOR || tile === Tile.GOAL) return 1;
  return tile === Tile.ROCK && digSteps > 0 ? digSteps + 2 : UNREACHABLE;
}

function distances(tiles, rules) {
  const found = new Int32Array(tiles.length).fill(UNREACHABLE);
  const goal = tiles.indexOf(Tile.GOAL);
  const cellsAt = [[goal]]; // by distance
  found[goal] = 0;
  for (let steps = 0; steps < cellsAt.length; steps++) {
    for (const cell of cellsAt[steps] ?? []) {
      if (found[cell] < steps) continue; // reached on a shorter path meanwhile
      const total = steps + entryCost(tiles[cell], rules.digSteps);
      for (const offset of moves(rules.side)) {
        const next = cell + offset;
        if (total >= found[next] || entryCost(tiles[next], rules.digSteps) >= UNREACHABLE) continue;
        found[next] = total;
        cellsAt[total] ??= [];
        cellsAt[total].push(next);
      }
    }
  }
  return found;
}

function oracleAction(state, distance) {
  let [action, least] = [NO_ACTION, UNREACHABLE];
  moves(state.rules.side).forEach((offset, move) => {
    const cell = state.position + offset;
    const steps = entryCost(state.tiles[cell], state.rules.digSteps) + distance[cell];
    if (steps < least) [action, least] = [move, steps];
  });
  return action;
}

return { UNREACHABLE, distances, oracleAction };
})();

bundle.words = (() => {

const { moves, Tile, viewCells } = bundle.rules;

const DIRECTIONS = ["up", "right", "down", "left"];
const TILES = ["free", "wall", "rock", "goal"];

function surroundings(state) {
  const { side } = state.rules;
  const beside = moves(side).map(
    (offset, move) => `${DIRECTIONS[move]} ${TILES[state.tiles[state.position + offset]]}`,
  );
  const goal = viewCells(state).find((cell) => state.tiles[cell] === Tile.GOAL);
  if (goal === undefined) return `${beside.join(", ")}; no goal in view.`;
  const rows = Math.floor(goal / side) - Math.floor(state.position / side);
  const columns = (goal % side) - (state.position % side);
  const parts = [
    rows && `${Math.abs(rows)} ${rows < 0 ? "up" : "down"}`,
    columns && `${Math.abs(columns)} ${columns < 0 ? "left" : "right"}`,
  ];
  return `${beside.join(", ")}; the goal is ${parts.filter(Boolean).join(" and ")}.`;
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function ranges(numbers) {
  const starts = numbers.filter((number, i) => number - 1 !== numbers[i - 1]);
  const ends = numbers.filter((number, i) => number + 1 !== numbers[i + 1]);
  return starts
    .map((start, i) => (start < ends[i] ? `${start} to ${ends[i]}` : start))
    .join(" and ");
}

return { surroundings, count, ranges };
})();

bundle.game = (() => {

const { argmax } = bundle.network;
const { distances, oracleAction } = bundle.oracle;
const { isOver, start, step, view, viewCells } = bundle.rules;

class Walk {
  constructor(rules, level) {
    this.state = start(rules, level);
    this.seen = new Uint8Array(level.tiles.length);
    this.cells = []; // where it was at each time
    this.trips = []; // the steps of each find
    this.#look();
  }

  get tripSteps() {
    return this.state.time - this.trips.reduce((sum, steps) => sum + steps, 0);
  }

  step(action) {
    step(this.state, action);
    if (this.state.lastReward) this.trips.push(this.tripSteps);
    this.#look();
  }

  #look() {
    this.cells.push(this.state.position);
    for (const cell of viewCells(this.state)) if (cell >= 0) this.seen[cell] = 1;
  }
}

class Game {
  constructor(rules, level, network) {
    this.you = new Walk(rules, level);
    this.oracle = new Walk(rules, level);
    this.agent = network && new Walk(rules, level);
    this.network = network;
    network?.forget();
    this.thought = this.#think();
    this.distance = distances(level.tiles, rules);
  }

  get isOver() {
    return isOver(this.you.state);
  }

  move(action) {
    if (this.isOver) return;
    this.you.step(action);
    if (this.thought) this.agent?.step(argmax(this.thought.logits));
    this.oracle.step(oracleAction(this.oracle.state, this.distance));
    const { rules, tiles, lastReward } = this.oracle.state;
    if (lastReward && rules.digSteps) this.distance = distances(tiles, rules);
    this.thought = this.#think();
  }

  heat() {
    if (!this.agent || !this.thought) return null;
    const heat = new Float64Array(this.agent.seen.length);
    this.thought.attention.forEach((weight, time) => {
      heat[/** @type {Walk} */ (this.agent).cells[time]] += weight;
    });
    const largest = Math.max(...heat);
    return heat.map((each) => each / largest);
  }

  #think() {
    if (!this.agent || !this.network) return null;
    const { state } = this.agent;
    return this.network.step({ ...state, view: view(state) });
  }
}

return { Walk, Game };
})();

bundle.card = (() => {

const { tag } = bundle.dom;
const { count } = bundle.words;


function fillCard(timelines, table, rows) {
  timelines.replaceChildren(...rows.map(timeline));
  const numTrips = Math.max(...rows.map(({ walk }) => walk.trips.length));
  const numbers = Array.from({ length: numTrips }, (_, trip) => `${trip + 1}`);
  const [first = "", ...later] = numbers;
  const names = ["Player", "Finds", `Steps of trip ${first}`, ...later];
  const head = tag("thead", tag("tr", ...names.map((name) => heading(name, "col"))));
  const lines = rows.map(({ name, walk }) => {
    const steps = numbers.map((_, trip) => `${walk.trips[trip] ?? ""}`);
    return tableRow([`${walk.trips.length}`, ...steps], heading(name, "row"));
  });
  table.replaceChildren(head, tag("tbody", ...lines));
}

function fillResults(body, results) {
  const lines = results.map((result) =>
    tableRow([
      new Date(result.date).toLocaleString(),
      result.id,
      `${result.level}`,
      `${result.attempt}`,
      `${result.finds}`,
      `${result.agentFinds ?? ""}`,
      `${result.oracleFinds}`,
      [result.othersHidden && "others", result.mapHidden && "map"].filter(Boolean).join(", "),
      result.trips.join(" "),
    ]),
  );
  body.replaceChildren(...lines.reverse());
}

function timeline({ name, colour, walk }) {
  const bar = tag("div", ...walk.trips.map((steps) => segment(steps, `${steps}`)));
  bar.className = "bar";
  bar.setAttribute("aria-hidden", "true"); // the table has the numbers
  const rest = segment(walk.tripSteps, "");
  rest.className = "unfinished";
  if (walk.tripSteps) bar.append(rest);
  const line = tag("div", tag("span", name), bar);
  line.className = "timeline";
  line.style.setProperty("--colour", colour);
  return line;
}

function segment(steps, text) {
  const element = tag("span", text);
  element.style.flex = `${steps} 0 0`;
  element.title = count(steps, "step");
  return element;
}

function tableRow(cells, ...headings) {
  return tag("tr", ...headings, ...cells.map((cell) => tag("td", cell)));
}

function heading(text, scope) {
  const element = tag("th", text);
  element.setAttribute("scope", scope);
  return element;
}

return { fillCard, fillResults };
})();

bundle.panel = (() => {

const { get, tag } = bundle.dom;
const { drawPiece, Picture, playerColumn } = bundle.draw;
const { view, viewCells } = bundle.rules;
const { count, surroundings } = bundle.words;


class Panel {
  constructor(player, colour, sprites) {
    const copy = document.importNode(get("#player", HTMLTemplateElement).content, true);
    this.section = get(".player", HTMLElement, copy);
    this.section.id = player.key;
    this.section.setAttribute("aria-label", player.name);
    this.section.style.setProperty("--colour", `var(--${player.key})`);
    this.tab = document.createElement("button");
    this.tab.type = "button";
    this.player = player;
    this.colour = colour;
    this.view = new Picture(get(".view", HTMLCanvasElement, copy), sprites);
    this.map = new Picture(get(".map", HTMLCanvasElement, copy), sprites);
    get(".name", HTMLElement, copy).textContent = player.name;
    get(".about", HTMLElement, copy).textContent = player.about;
    get(".view-caption", HTMLElement, copy).textContent = player.view;
    get(".map-caption", HTMLElement, copy).textContent = player.map;
    drawPiece(get(".portrait", HTMLCanvasElement, copy), sprites, playerColumn(colour));
    get("#players", HTMLElement).append(copy);
    get("#tabs", HTMLElement).append(this.tab);
  }

  select(isCurrent) {
    this.section.classList.toggle("current", isCurrent);
    this.tab.setAttribute("aria-pressed", `${isCurrent}`);
  }

  show(walk, { isCovered, hasMap, isRevealed, heat, further }) {
    const { state, trips } = walk;
    this.tab.textContent = isCovered ? this.player.tab : `${this.player.tab} ${trips.length}`;
    this.section.classList.toggle("covered", isCovered);
    this.section.classList.toggle("found", !isCovered && state.lastReward > 0);
    if (isCovered) return;
    const numbers = {
      finds: trips.length,
      "steps of this trip": walk.tripSteps,
      ...further,
    };
    get(".numbers", HTMLElement, this.section).replaceChildren(
      ...Object.entries(numbers).map(([name, number]) =>
        tag("div", tag("dt", name), tag("dd", `${number}`)),
      ),
    );
    const scene = { colour: this.colour, facing: state.lastAction };
    const tiles = view(state);
    this.view.canvas.setAttribute("aria-label", `View: ${surroundings(state)}`);
    this.view.show({
      ...scene,
      tiles,
      cell: (tiles.length - 1) / 2,
      heat: heat && viewCells(state).map((cell) => heat[cell] ?? 0),
    });
    /** @type {HTMLElement} */ (this.map.canvas.parentElement).hidden = !hasMap;
    const numSeen = walk.seen.reduce((sum, seen) => sum + seen, 0);
    this.map.canvas.setAttribute("aria-label", `Map: ${count(numSeen, "cell")} seen`);
    this.map.show({
      ...scene,
      tiles: state.tiles,
      cell: state.position,
      seen: walk.seen,
      isRevealed,
      isVaried: true,
      outlined: state.rules.viewSize,
      heat,
    });
  }
}

return { Panel };
})();

bundle.page = (() => {

const { fillCard, fillResults } = bundle.card;
const { get } = bundle.dom;
const { Panel } = bundle.panel;
const { Results } = bundle.results;
const { count, surroundings } = bundle.words;

const ACTION_OF_KEY = {
  ...{ ArrowUp: 0, ArrowRight: 1, ArrowDown: 2, ArrowLeft: 3 },
  ...{ KeyW: 0, KeyD: 1, KeyS: 2, KeyA: 3 },
};
const YOU = {
  key: "you",
  name: "You",
  tab: "You",
  about: "Go and find the goal.",
  view: "what you see",
  map: "what you have seen",
  walkIn: (game) => game.you,
};
const AGENT = {
  key: "agent",
  name: "Trained agent",
  tab: "Agent",
  about: "Sees only its view.",
  view: "what it sees",
  map: "red: past steps it attends to",
  walkIn: (game) => game.agent,
};
const ORACLE = {
  key: "oracle",
  name: "Oracle",
  tab: "Oracle",
  about: "Knows the whole cave.",
  view: "what it sees",
  map: "what it has seen",
  walkIn: (game) => game.oracle,
};
const PLAYERS = [YOU, AGENT, ORACLE]; // in the order of their colours

class Page {
  #hideOthers = get("#hide-others", HTMLInputElement);
  #hideMap = get("#hide-map", HTMLInputElement);
  #results = new Results();
  #shown = YOU;
  #attempt = 0; // counted from the first move on
  #othersHidden = false;
  #mapHidden = false;

  constructor(id, level, newGame, sprites) {
    this.id = id;
    this.level = level;
    this.newGame = newGame;
    this.game = newGame();
    const players = PLAYERS.filter((player) => player.walkIn(this.game));
    this.panels = players.map((player) => {
      const panel = new Panel(player, PLAYERS.indexOf(player), sprites);
      panel.tab.onclick = () => this.#choose(player);
      return panel;
    });
    const others = this.game.agent ? "agent and oracle" : "the oracle";
    get("#hide-others-text", HTMLElement).textContent = `Hide ${others} until I am done`;
    get("#game", HTMLElement).hidden = false;
    this.#listen();
    this.#choose(YOU);
    this.#say("");
    this.#showResults();
  }

  restart() {
    this.game = this.newGame();
    this.#attempt = 0;
    this.#show();
    this.#say("");
  }

  move(action) {
    const { you } = this.game;
    if (this.game.isOver) return;
    if (!this.#attempt) this.#attempt = this.#results.begin(this.id, this.level);
    const { position: before, busy: wasBusy } = you.state;
    this.game.move(action);
    if (this.game.isOver) this.#keepResult();
    this.#show();
    const { lastReward, busy, position } = you.state;
    const steps = count(you.trips.at(-1) ?? 0, "step");
    if (lastReward) this.#say(`Found in ${steps}! You are elsewhere in the same cave.`);
    else if (busy) this.#say(`Digging for ${count(busy, "more step")}.`);
    else if (wasBusy) this.#say("The rock is gone.");
    else this.#say(position === before ? "That way is blocked." : "");
    if (this.game.isOver) get("#card-title", HTMLElement).focus();
  }

  #listen() {
    document.addEventListener("keydown", (event) => this.#press(event));
    for (const button of document.querySelectorAll("#pad button")) {
      const action = Number(button.getAttribute("data-action"));
      button.addEventListener("click", () => this.move(action));
    }
    get("#you .view", HTMLElement).onclick = (event) => {
      const { width, height } = /** @type {Element} */ (event.target).getBoundingClientRect();
      const [right, down] = [event.offsetX - width / 2, event.offsetY - height / 2];
      const cell = width / this.game.you.state.rules.viewSize;
      if (Math.max(Math.abs(right), Math.abs(down)) < cell / 2) return; // a tap on yourself
      if (Math.abs(right) > Math.abs(down)) this.move(right > 0 ? 1 : 3);
      else this.move(down > 0 ? 2 : 0);
    };
    get("#again", HTMLElement).onclick = () => this.restart();
    this.#hideOthers.onchange = this.#hideMap.onchange = () => this.#show();
    get("#clear", HTMLElement).onclick = () => {
      if (!confirm("Delete all results that this browser keeps? This cannot be undone.")) return;
      this.#results.clear();
      this.#showResults();
    };
    get("#export", HTMLElement).onclick = () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([this.#results.csv()], { type: "text/csv" }));
      link.download = "gridmem-results.csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // a download may begin later
    };
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof HTMLSelectElement) return; // the keys choose an option
    const action = ACTION_OF_KEY[event.code];
    const letter = /^[a-z]$/i.test(event.key) ? event.key.toUpperCase() : event.code.slice(-1);
    if (action !== undefined && !this.game.isOver) {
      event.preventDefault(); // of arrows: scrolling
      this.move(action);
    } else if (letter === "R") this.restart();
    else if (letter === "N") get("#next", HTMLAnchorElement).click();
  }

  #choose(player) {
    this.#shown = player;
    this.#show();
  }

  #keepResult() {
    const { you, agent, oracle } = this.game;
    this.#results.add({
      date: new Date().toISOString(),
      id: this.id,
      level: this.level,
      attempt: this.#attempt,
      othersHidden: this.#othersHidden,
      mapHidden: this.#mapHidden,
      maxSteps: you.state.rules.maxSteps,
      finds: you.trips.length,
      agentFinds: agent?.trips.length ?? null,
      oracleFinds: oracle.trips.length,
      trips: you.trips,
    });
    this.#showResults();
  }

  #show() {
    const { game, panels } = this;
    const { time, rules } = game.you.state;
    if (!game.isOver) {
      this.#othersHidden = (time === 0 || this.#othersHidden) && this.#hideOthers.checked;
      this.#mapHidden = (time === 0 || this.#mapHidden) && this.#hideMap.checked;
    }
    for (const panel of panels) {
      const { player } = panel;
      const isYou = player === YOU;
      panel.select(player === this.#shown);
      panel.show(/** @type {Walk} */ (player.walkIn(game)), {
        isCovered: !isYou && this.#hideOthers.checked && !game.isOver,
        hasMap: !isYou || !this.#hideMap.checked || game.isOver,
        isRevealed: game.isOver,
        heat: player === AGENT ? game.heat() : null,
        further: player === AGENT ? { value: game.thought?.value.toFixed(2) ?? "" } : {},
      });
    }
    const progress = get("#progress", HTMLProgressElement);
    [progress.max, progress.value] = [rules.maxSteps, time];
    get("#steps", HTMLElement).textContent = `step ${time} of ${rules.maxSteps}`;
    get("#card", HTMLElement).hidden = !game.isOver;
    get("#pad", HTMLElement).hidden = game.isOver;
    if (game.isOver) this.#showCard();
  }

  #showResults() {
    get("#results", HTMLElement).hidden = this.#results.rows.length === 0;
    fillResults(get("#rows", HTMLElement), this.#results.rows);
  }

  #showCard() {
    const rows = this.panels.map(({ player }) => ({
      name: player.tab,
      colour: `var(--${player.key})`,
      walk: /** @type {Walk} */ (player.walkIn(this.game)),
    }));
    const [yours, ...others] = rows.map(({ name, walk }) => [
      name.toLowerCase(),
      walk.trips.length,
    ]);
    get("#card-title", HTMLElement).textContent =
      `You found the goal ${count(Number(yours[1]), "time")}, ` +
      `${others.map(([name, finds]) => `the ${name} ${finds}`).join(", ")}.`;
    fillCard(get("#timelines", HTMLElement), get("#trips", HTMLElement), rows);
  }

  #say(text) {
    const { you, isOver } = this.game;
    const message = isOver ? "The episode is over." : text;
    get("#message", HTMLElement).textContent = message || this.#results.problem;
    get("#spoken", HTMLElement).textContent = `${message} ${surroundings(you.state)}`;
  }
}

return { Page };
})();

bundle.main = (() => {

const { bytesOf } = bundle.base85;
const { get } = bundle.dom;
const { drawPiece, GOAL_COLUMN } = bundle.draw;
const { Problem, read, site } = bundle.files;
const { Game } = bundle.game;
const { readLevels } = bundle.levels;
const { argmax, Network } = bundle.network;
const { distances, oracleAction } = bundle.oracle;
const { Page } = bundle.page;
const { start, step, view } = bundle.rules;
const { readWeights } = bundle.safetensors;
const { ranges } = bundle.words;

const DEFAULT_ID = "GridMem-13x13-v0";
const HIDEABLE = ["others", "map"];

async function main() {
  const sprites = await createImageBitmap(new Blob([bytesOf(site.sprites)]));
  drawPiece(get("#goal", HTMLCanvasElement), sprites, GOAL_COLUMN);
  const parameters = new URLSearchParams(location.search);
  const hidden = (parameters.get("hide") ?? "").split(" ").filter(Boolean);
  for (const name of HIDEABLE) checkbox(name).checked = hidden.includes(name);
  const id = parameters.get("id") ?? DEFAULT_ID;
  offer("#id", Object.keys(site.ids), id, (chosen) => address(chosen));
  if (!Object.keys(site.ids).includes(id)) {
    throw new Problem(`There is no environment “${id}”; choose one from the list.`);
  }
  const rules = site.ids[id];
  const levels = await read(`${id}-levels`, (bytes) => readLevels(bytes, rules));
  const numbers = [...levels.keys()];
  const text = parameters.get("level") ?? `${rules.firstLevel}`;
  offer("#level", numbers.map(String), text, (chosen) => address(id, chosen));
  const position = numbers.map(String).indexOf(text);
  const level = levels.get(numbers[position]);
  if (!level) {
    throw new Problem(`There is no level “${text}” here; choose one of ${ranges(numbers)}.`);
  }
  const unknown = hidden.find((name) => !HIDEABLE.includes(name));
  if (unknown) {
    throw new Problem(`There is no “${unknown}” to hide; choose others, map or others+map.`);
  }
  const network = rules.hasAgent
    ? await read(`${id}-agent`, (bytes) => new Network(readWeights(bytes)))
    : null;
  if (rules.digSteps) {
    get("#digging", HTMLElement).textContent =
      `Walk into brown rock to dig it away, which takes ${1 + rules.digSteps} steps.`;
  }
  new Page(id, numbers[position], () => new Game(rules, level, network), sprites);
  const next = get("#next", HTMLAnchorElement);
  const refresh = () => {
    next.href = address(id, `${numbers[(position + 1) % numbers.length]}`);
  };
  for (const name of HIDEABLE) checkbox(name).addEventListener("change", refresh);
  refresh();
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("first picture")));
}

const checkbox = (name) => get(`#hide-${name}`, HTMLInputElement);

function address(id, level) {
  const hide = HIDEABLE.filter((name) => checkbox(name).checked).join(" ");
  return `?${new URLSearchParams({ id, ...(level && { level }), ...(hide && { hide }) })}`;
}

function offer(selector, options, current, addressOf) {
  const select = get(selector, HTMLSelectElement);
  select.replaceChildren(...options.map((text) => new Option(text)));
  select.value = current; // nothing, if it is no option
  select.onchange = () => location.assign(addressOf(select.value));
}

function explain(error) {
  const known = error instanceof Problem;
  const problem = get("#problem", HTMLElement);
  problem.textContent = known ? error.message : `The page does not work here: ${error}.`;
  problem.hidden = false;
}

document.fonts.add(new FontFace("GridMem", bytesOf(site.font)));
main().catch(explain);

Object.assign(globalThis, {
  gridmem: {
    ...{ start, step, view, distances, oracleAction, argmax, Network, Game },
    ...{ bytesOf, readLevels, readWeights },
  },
});

return {  };
})();
})();
